@tool
extends RefCounted
## A WebSocket endpoint over a bare TCP stream that can do everything a well-behaved one does not.

const Raw := preload("res://support/raw.gd")

const KEY := "dGhlIHNhbXBsZSBub25jZQ=="

const TEXT := 1
const BINARY := 2
const CLOSE := 8
const PING := 9
const PONG := 10

var tcp: StreamPeerTCP
## What was received and not yet looked at.
var inbox := PackedByteArray()
## The head of the request or answer that the other side sent.
var head := ""
## True: this end is the client, so frames are masked.
var masks := true


## Connects to a server. `others` are polled meanwhile.
static func dial(port: int, others: Array = [], host := "127.0.0.1") -> Raw:
	var raw := Raw.new()
	raw.tcp = StreamPeerTCP.new()
	raw.tcp.connect_to_host(host, port)
	raw.wait(others, func() -> bool: return raw.tcp.get_status() != StreamPeerTCP.STATUS_CONNECTING)
	raw.tcp.set_no_delay(true)
	return raw


## Takes a client's connection. Null where none comes.
static func accept(listener: TCPServer, others: Array = []) -> Raw:
	var raw := Raw.new()
	raw.masks = false
	if not raw.wait(others, listener.is_connection_available):
		return null
	raw.tcp = listener.take_connection()
	raw.tcp.set_no_delay(true)
	return raw


## A connected client: upgrade done, and the id in its first message read.
static func join(port: int, others: Array) -> Raw:
	var raw := dial(port, others)
	raw.send_text(request(port))
	if raw.read_head(others):
		raw.read_frame(others)
	return raw


## A server's end of a connection whose client has got its `id` (0: none is sent).
static func serve(listener: TCPServer, others: Array, id := 7) -> Raw:
	var raw := accept(listener, others)
	if raw == null or not raw.read_head(others):
		return null
	raw.send_text(answer(raw.header("Sec-WebSocket-Key")))
	if id != 0:
		raw.send_frame(BINARY, int32(id))
	return raw


static func request(port: int, extra := "", path := "/") -> String:
	return (
		(
			"GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			+ "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
		)
		% [path, port, KEY, extra]
	)


static func answer(key: String, extra := "") -> String:
	var hash := HashingContext.new()
	hash.start(HashingContext.HASH_SHA1)
	hash.update((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").to_utf8_buffer())
	return (
		(
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			+ "Sec-WebSocket-Accept: %s\r\n%s\r\n"
		)
		% [Marshalls.raw_to_base64(hash.finish()), extra]
	)


static func int32(value: int) -> PackedByteArray:
	var result := PackedByteArray()
	result.resize(4)
	result.encode_s32(0, value)
	return result


## One frame. `length` lies about the payload's length where it is not -1; `wide` forces 16 or 64 bits for it.
static func frame(
	op: int, payload: PackedByteArray, mask := true, fin := true, rsv := 0, length := -1, wide := 0
) -> PackedByteArray:
	var size := payload.size() if length == -1 else length
	var result := PackedByteArray([(0x80 if fin else 0) | (rsv << 4) | op])
	var mask_bit := 0x80 if mask else 0
	# Negative: a length with the top bit.
	if size >= 0 and size < 126 and wide == 0:
		result.append(mask_bit | size)
	elif size >= 0 and size < 65536 and wide != 64:
		result.append_array([mask_bit | 126, size >> 8, size & 255])
	else:
		result.append(mask_bit | 127)
		for i in 8:
			result.append((size >> (8 * (7 - i))) & 255)
	if not mask:
		result.append_array(payload)
		return result
	# Masking byte by byte is slow in a script, and a mask of zeroes is as valid as any.
	var key := PackedByteArray([0x11, 0x22, 0x33, 0x44] if payload.size() <= 4096 else [0, 0, 0, 0])
	var start := result.size() + 4
	result.append_array(key)
	result.append_array(payload)
	if key[0] != 0:
		for i in payload.size():
			result[start + i] ^= key[i & 3]
	return result


func poll() -> void:
	if tcp == null:
		return
	tcp.poll()
	if tcp.get_status() != StreamPeerTCP.STATUS_CONNECTED:
		return
	var count := tcp.get_available_bytes()
	if count > 0:
		var part := tcp.get_partial_data(count)
		if part[0] == OK:
			inbox.append_array(part[1])


## Polls `others` and this end until `condition` holds.
func wait(others: Array, condition: Callable, limit_ms := 1500) -> bool:
	var end := Time.get_ticks_msec() + limit_ms
	while not condition.call():
		if Time.get_ticks_msec() > end:
			return false
		for each in others:
			each.poll()
		poll()
		OS.delay_msec(1)
	return true


func is_open() -> bool:
	return tcp.get_status() == StreamPeerTCP.STATUS_CONNECTED


## The other side ended the TCP connection.
func wait_closed(others: Array, limit_ms := 1500) -> bool:
	return wait(others, func() -> bool: return not is_open(), limit_ms)


func send(data: PackedByteArray) -> void:
	tcp.put_data(data)


func send_text(text: String) -> void:
	send(text.to_utf8_buffer())


func send_frame(op: int, payload := PackedByteArray(), fin := true) -> void:
	send(frame(op, payload, masks, fin))


func make(op: int, payload := PackedByteArray(), fin := true) -> PackedByteArray:
	return frame(op, payload, masks, fin)


## Waits for the end of an HTTP head and moves it out of the inbox.
func read_head(others: Array, limit_ms := 1500) -> bool:
	var found := wait(others, func() -> bool: return _head_end() >= 0 or not is_open(), limit_ms)
	var end := _head_end()
	if not found or end < 0:
		return false
	head = inbox.slice(0, end).get_string_from_utf8()
	inbox = inbox.slice(end + 4)
	return true


## The status of an answer's head; 0 where there is none.
func status() -> int:
	var words := head.get_slice("\r\n", 0).split(" ")
	return int(words[1]) if words.size() > 1 and words[0] == "HTTP/1.1" else 0


## A header's value in the head; empty where it is not there.
func header(name: String) -> String:
	for line in head.split("\r\n"):
		if line.to_lower().begins_with(name.to_lower() + ":"):
			return line.substr(name.length() + 1).strip_edges()
	return ""


## The next frame as {op, fin, rsv, masked, payload}; empty where none comes.
func read_frame(others: Array, limit_ms := 1500) -> Dictionary:
	var result := {}
	var parse := func() -> bool:
		result.merge(next_frame())
		return not result.is_empty() or not is_open()
	wait(others, parse, limit_ms)
	if result.is_empty():
		result.merge(next_frame())
	return result


## Skips to the close frame and returns its code; -1: closed without one, 0: one without a code, -2: nothing.
func read_close(others: Array, limit_ms := 1500) -> int:
	for i in 1000:
		var got := read_frame(others, limit_ms)
		if got.is_empty():
			return -2 if is_open() else -1
		if got.op == CLOSE:
			return 0 if got.payload.size() < 2 else (got.payload[0] << 8) | got.payload[1]
	return -2


## The first complete frame of the inbox, taken out of it.
func next_frame() -> Dictionary:
	if inbox.size() < 2:
		return {}
	var size := inbox[1] & 127
	var start := 2
	if size >= 126:
		start = 4 if size == 126 else 10
		if inbox.size() < start:
			return {}
		size = 0
		for i in range(2, start):
			size = (size << 8) | inbox[i]
	var mask := PackedByteArray([0, 0, 0, 0])
	if inbox[1] & 128:
		mask = inbox.slice(start, start + 4)
		start += 4
	if inbox.size() < start + size:
		return {}
	var payload := inbox.slice(start, start + size)
	if inbox[1] & 128:
		for i in size:
			payload[i] ^= mask[i & 3]
	var result := {
		"op": inbox[0] & 15,
		"fin": inbox[0] >> 7,
		"rsv": (inbox[0] >> 4) & 7,
		"masked": inbox[1] >> 7,
		"payload": payload
	}
	inbox = inbox.slice(start + size)
	return result


func _head_end() -> int:
	for i in inbox.size() - 3:
		if inbox[i] == 13 and inbox[i + 1] == 10 and inbox[i + 2] == 13 and inbox[i + 3] == 10:
			return i
	return -1
