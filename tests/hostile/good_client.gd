extends RefCounted
## A well-behaved client, of the engine's own class: sends a numbered packet each frame, and expects each one back, in
## order. It is polled once a frame, as the server is.

## The server sends packets that start with this byte back to their sender.
const ECHO := 1
## How packets start that the server sends to all.
const BROADCAST := 2
## Bytes of a packet: what it is, and its number.
const SIZE := 5

## Packets that came back.
var returned := 0
## The most frames that a packet has taken, or has been waited for.
var worst := 0
## What went wrong first.
var problem := ""
## It only waits for what is still to come back.
var is_quiet := false

var _peer := WebSocketMultiplayerPeer.new()
## The frames in which those packets were sent that are not back yet.
var _sent: Array[int] = []
## The number of the next broadcast; unknown before the first.
var _broadcast := -1
var _was_connected := false


func join(port: int, secure: bool) -> void:
	# Whether it gets in is judged by the count of frames.
	_peer.handshake_timeout = 3600.0
	# All broadcasts of a frame.
	_peer.inbound_buffer_size = 1 << 22
	var tls := TLSOptions.client_unsafe() if secure else null
	_peer.create_client("%s://127.0.0.1:%d" % ["wss" if secure else "ws", port], tls)


func leave() -> void:
	_peer.close()


## One frame's work.
func step(frame: int) -> void:
	_peer.poll()
	while _peer.get_available_packet_count() > 0:
		_take(_peer.get_packet(), frame)
	if _peer.get_connection_status() == MultiplayerPeer.CONNECTION_CONNECTED:
		_was_connected = true
		if not is_quiet:
			_send(frame)
	elif _was_connected:
		_fail("it was disconnected")
	if not _sent.is_empty():
		worst = maxi(worst, frame - _sent[0])


## Whether it has lost its connection, or could not get one.
func has_failed() -> bool:
	return _peer.get_connection_status() == MultiplayerPeer.CONNECTION_DISCONNECTED


## Packets that are not back yet.
func missing() -> int:
	return _sent.size()


func _send(frame: int) -> void:
	var packet := PackedByteArray()
	packet.resize(SIZE)
	packet[0] = ECHO
	packet.encode_u32(1, returned + _sent.size())
	if _peer.put_packet(packet) == OK:
		_sent.append(frame)
	else:
		_fail("its packet was refused")


func _take(packet: PackedByteArray, frame: int) -> void:
	var number := packet.decode_u32(1) if packet.size() >= SIZE else -1
	if number >= 0 and packet[0] == BROADCAST:
		if _broadcast >= 0 and number != _broadcast:
			_fail("it got broadcast %d and not %d" % [number, _broadcast])
		_broadcast = number + 1
	elif number == returned and not _sent.is_empty() and packet[0] == ECHO and packet.size() == SIZE:
		worst = maxi(worst, frame - _sent.pop_front())
		returned += 1
	else:
		_fail("it got packet %d of %d bytes and not %d" % [number, packet.size(), returned])


func _fail(why: String) -> void:
	if problem.is_empty():
		problem = why
