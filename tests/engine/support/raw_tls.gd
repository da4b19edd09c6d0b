extends "res://support/raw.gd"
## The same over the engine's own TLS; `tcp` is still there for those who want to break things below it.

const RawTls := preload("res://support/raw_tls.gd")

var tls := StreamPeerTLS.new()


## Connects to a server and does the handshake. `others` are polled meanwhile.
static func dial_tls(port: int, others: Array = []) -> RawTls:
	var raw := RawTls.new()
	var plain := dial(port, others)
	raw.tcp = plain.tcp
	raw.tls.connect_to_stream(raw.tcp, "localhost", TLSOptions.client_unsafe())
	raw.wait(others, func() -> bool: return raw.tls.get_status() != StreamPeerTLS.STATUS_HANDSHAKING)
	return raw


## A connected client: handshake and upgrade done, and the id in its first message read.
static func join_tls(port: int, others: Array) -> RawTls:
	var raw := dial_tls(port, others)
	raw.send_text(request(port))
	if raw.read_head(others):
		raw.read_frame(others)
	return raw


## A server's end of a connection whose client has got its `id` (0: none is sent).
static func serve_tls(listener: TCPServer, options: TLSOptions, others: Array, id := 7) -> RawTls:
	var raw := RawTls.new()
	raw.masks = false
	var plain := accept(listener, others)
	if plain == null:
		return null
	raw.tcp = plain.tcp
	raw.tls.accept_stream(raw.tcp, options)
	if not raw.wait(others, raw.is_open) or not raw.read_head(others):
		return null
	raw.send_text(answer(raw.header("Sec-WebSocket-Key")))
	if id != 0:
		raw.send_frame(BINARY, int32(id))
	return raw


# A read of more than is there would run into the end and lose what came before it.
func poll() -> void:
	if is_open() or tls.get_status() == StreamPeerTLS.STATUS_HANDSHAKING:
		tls.poll()
	while is_open() and tls.get_available_bytes() > 0:
		var part := tls.get_partial_data(tls.get_available_bytes())
		if part[0] == OK:
			inbox.append_array(part[1])
			tls.poll()


func is_open() -> bool:
	return tls.get_status() == StreamPeerTLS.STATUS_CONNECTED


func send(data: PackedByteArray) -> void:
	tls.put_data(data)
