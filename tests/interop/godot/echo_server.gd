extends "res://support.gd"
## A plain WebSocket server for foreign clients: MioWebSocketServer, which sends back what comes, as it came.
##
## --port-file=PATH [--chain=PEM_PATH --key=PEM_PATH]
## Texts that start with a slash are commands: /close CODE REASON, /protocol, /url, /heartbeat SECONDS.

const LIMIT := 240.0
const ROOM := 4 << 20

var _server := MioWebSocketServer.new()
var _sockets: Array[MioWebSocketPeer] = []


func _initialize() -> void:
	begin(LIMIT)
	_server.tls_certificate_chain = argument("chain")
	_server.tls_private_key = argument("key")
	_server.supported_protocols = ["chat", "game.v2"]
	_server.handshake_headers = ["X-Interop: yes"]
	_server.outbound_buffer_size = ROOM
	if equal("listen", _server.listen(0, "127.0.0.1"), OK) and publish(_server.get_local_port()):
		await until(_serve, LIMIT)
	_server.stop()
	check("the server stops", not _server.is_listening())
	end()


## One frame's work. Whether the server is to end.
func _serve() -> bool:
	while _server.is_connection_available():
		_sockets.append(_server.take_connection())
	for socket in _sockets:
		socket.poll()
		while socket.get_available_packet_count() > 0:
			var packet := socket.get_packet()
			_handle(socket, packet, socket.was_string_packet())
	_sockets = _sockets.filter(_is_alive)
	return not is_wanted()


func _is_alive(socket: MioWebSocketPeer) -> bool:
	return socket.get_ready_state() != MioWebSocketPeer.STATE_CLOSED


func _handle(socket: MioWebSocketPeer, packet: PackedByteArray, is_text: bool) -> void:
	if not is_text:
		socket.send(packet)
		return
	var text := packet.get_string_from_utf8()
	var words := text.split(" ", true, 2)
	match words[0]:
		"/close":
			socket.close(int(words[1]), words[2])
		"/protocol":
			socket.send_text(socket.get_selected_protocol())
		"/url":
			socket.send_text(socket.get_requested_url())
		"/heartbeat":
			socket.heartbeat_interval = float(words[1])
			socket.send_text("beating")
		_:
			socket.send_text(text)
