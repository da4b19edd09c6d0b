extends SceneTree
## Echoes for Autobahn's fuzzing client.
##
## godot --headless --path tests/autobahn --script res://server.gd -- [--streams]
##
## Prints `listening on PORT`, and ends when a client asks for `/quit`. With --streams the connections are accepted by
## the engine's TCPServer and MioWebSocketPeer.accept_stream, otherwise by MioWebSocketServer.

const Echo := preload("res://echo.gd")

## Longer than any run: whoever started this may be gone.
const LIFETIME_SECONDS := 3600.0

var _server: MioWebSocketServer
var _listener: TCPServer
var _sockets: Array[MioWebSocketPeer] = []


func _initialize() -> void:
	OS.low_processor_usage_mode_sleep_usec = Echo.PAUSE_USEC
	create_timer(LIFETIME_SECONDS).timeout.connect(quit.bind(1))
	var error := _listen_to_streams() if "--streams" in OS.get_cmdline_user_args() else _listen()
	if error != OK:
		print("FAIL cannot listen: ", error_string(error))
		quit(1)


func _listen() -> Error:
	_server = MioWebSocketServer.new()
	_server.inbound_buffer_size = Echo.LIMIT
	_server.outbound_buffer_size = Echo.LIMIT
	var error: Error = _server.listen(0, "127.0.0.1")
	print("listening on ", _server.get_local_port())
	return error


func _listen_to_streams() -> Error:
	_listener = TCPServer.new()
	var error := _listener.listen(0, "127.0.0.1")
	print("listening on ", _listener.get_local_port())
	return error


func _process(_delta: float) -> bool:
	_accept()
	for socket in _sockets:
		Echo.serve(socket)
		if socket.get_requested_url().ends_with("/quit"):
			quit()
	_sockets = _sockets.filter(Echo.is_alive)
	return false


func _accept() -> void:
	while _server != null and _server.is_connection_available():
		_sockets.append(_server.take_connection())
	while _listener != null and _listener.is_connection_available():
		var socket := MioWebSocketPeer.new()
		socket.inbound_buffer_size = Echo.LIMIT
		socket.outbound_buffer_size = Echo.LIMIT
		if socket.accept_stream(_listener.take_connection()) == OK:
			_sockets.append(socket)
		else:
			print("FAIL cannot accept a stream")
