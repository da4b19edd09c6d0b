extends "res://support.gd"
## A game's server for foreign clients: MioWebSocketMultiplayerPeer, each packet answered by hand.
##
## --port-file=PATH [--chain=PEM_PATH --key=PEM_PATH] [--expect=ERROR]
## Packets that start with a slash are commands; every other is sent back to its sender:
## /hello NAME enters the game, /all TEXT goes to all players, /kick ends the sender's connection, /view tells what
## get_peer() knows. Players are told `joined ID NAME`, `left ID` and `all ID TEXT`.

const LIMIT := 240.0
const ROOM := 4 << 20

var _server := MioWebSocketMultiplayerPeer.new()
## Names of those who said hello, by id.
var _players := {}
var _refused := 0


func _initialize() -> void:
	begin(LIMIT)
	if not argument("expect").is_empty():
		print("EXPECT_ERROR ", argument("expect"))
	_server.tls_certificate_chain = argument("chain")
	_server.tls_private_key = argument("key")
	# A foreign client may send much before it reads.
	_server.outbound_buffer_size = ROOM
	_server.peer_disconnected.connect(_on_left)
	if equal("create_server", _server.create_server(0, "127.0.0.1"), OK) and publish(_server.get_local_port()):
		await until(_serve, LIMIT)
	_server.close()
	equal("no answer was refused", _refused, 0)
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
	var words := packet.get_string_from_utf8().split(" ", true, 1)
	var rest := words[1] if words.size() > 1 else ""
	match words[0]:
		"/hello":
			for id: int in _players:
				_tell(sender, "joined %d %s" % [id, _players[id]])
			_players[sender] = rest
			_tell_all("joined %d %s" % [sender, rest])
		"/all":
			_tell_all("all %d %s" % [sender, rest])
		"/kick":
			_server.disconnect_peer(sender)
		"/view":
			var view := _server.get_peer(sender)
			var same := view == _server.get_peer(sender)
			var open := view.get_ready_state() == MioWebSocketPeer.STATE_OPEN
			var host := view.get_connected_host()
			_tell(sender, "view same=%s open=%s host=%s url=%s" % [same, open, host, view.get_requested_url()])


func _on_left(id: int) -> void:
	if _players.erase(id):
		_tell_all("left %d" % id)


func _tell_all(text: String) -> void:
	for id: int in _players:
		_tell(id, text)


func _tell(id: int, text: String) -> void:
	_send(id, text.to_utf8_buffer())


func _send(id: int, packet: PackedByteArray) -> void:
	_server.set_target_peer(id)
	var error := _server.put_packet(packet)
	# Whoever has sent and gone is not there for the answer.
	if error == ERR_OUT_OF_MEMORY:
		_refused += 1
