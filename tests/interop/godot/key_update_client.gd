extends "res://support.gd"
## MioWebSocketPeer as the client of a server that keeps updating its TLS keys: python/openssl.py.
##
## --ports=JSON_PATH --certificates=FOLDER
## Sends everything back until the server closes.

var _socket := MioWebSocketPeer.new()
var _received := 0


func _initialize() -> void:
	begin(20.0)
	_socket.tls_ca_bundle = argument("certificates").path_join("root.crt")
	_socket.connect_to_url("wss://localhost:%d" % ports().key_update)
	await until(_serve, 20.0)
	equal("messages between key updates", _received, 4)
	equal("closed by the server", _socket.get_close_code(), 1000)
	end()


func _serve() -> bool:
	_socket.poll()
	while _socket.get_available_packet_count() > 0:
		_received += 1
		_socket.send_text(_socket.get_packet().get_string_from_utf8())
	return _socket.get_ready_state() == MioWebSocketPeer.STATE_CLOSED
