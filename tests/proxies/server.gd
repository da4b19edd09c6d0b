extends "res://support.gd"
## A game's server behind a proxy.
##
## --port-file=PATH [--proxy-protocol=MODE] [--chain=PEM_PATH --key=PEM_PATH]
## Packets that start with a slash are commands; every other is sent back to its sender. /who: what the server knows of
## the sender, /port: where it listens, /beat SECONDS: how often it pings those who come later (at first never), /leave
## CODE REASON: closes the sender's connection, /last: how the last connection was closed.

const LIMIT := 240.0

var _server := MioWebSocketMultiplayerPeer.new()
var _last := ""


func _initialize() -> void:
	begin(LIMIT)
	_server.trusted_proxies = PackedStringArray(["127.0.0.1"])
	_server.proxy_protocol = int(argument("proxy-protocol", "0"))
	# Four at once, and then one a second.
	_server.connections_per_second_per_address = 1
	_server.inbound_buffer_size = 4 << 20
	_server.outbound_buffer_size = 4 << 20
	_server.tls_certificate_chain = argument("chain")
	_server.tls_private_key = argument("key")
	_server.heartbeat_interval = 0.0
	_server.peer_closed.connect(
		func(_id: int, code: int, reason: String, _was_clean: bool) -> void: _last = "%d %s" % [code, reason]
	)
	if equal("create_server", _server.create_server(0, "127.0.0.1"), OK) and publish(_server.get_local_port()):
		await until(_serve, LIMIT)
	_server.close()
	end()


## One frame's work. Whether the server is to end.
func _serve() -> bool:
	_server.poll()
	while _server.get_available_packet_count() > 0:
		var sender := _server.get_packet_peer()
		_handle(sender, _server.get_packet())
	return not is_wanted()


func _handle(sender: int, packet: PackedByteArray) -> void:
	if packet.is_empty() or packet[0] != ord("/"):
		_send(sender, packet)
		return
	var words := packet.get_string_from_utf8().split(" ", true, 2)
	match words[0]:
		"/who":
			_tell(sender, "%s %d" % [_server.get_peer_address(sender), _server.get_peer_port(sender)])
		"/port":
			_tell(sender, str(_server.get_local_port()))
		"/beat":
			_server.heartbeat_interval = float(words[1])
			_tell(sender, str(_server.heartbeat_interval))
		"/leave":
			_server.close_peer(sender, int(words[1]), words[2])
		"/last":
			_tell(sender, _last)


func _tell(id: int, text: String) -> void:
	_send(id, text.to_utf8_buffer())


func _send(id: int, packet: PackedByteArray) -> void:
	_server.set_target_peer(id)
	_server.put_packet(packet)
