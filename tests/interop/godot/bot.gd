extends "res://support.gd"
## A player of the built-in class in the game that a browser plays: follows whoever moves, answers whoever speaks.
##
## --url=URL [--ca=PEM_PATH]
## It waits for a player, and leaves when that player says bye.

var _peer := WebSocketMultiplayerPeer.new()
var _spoken := false
var _moves := 0
var _is_over := false


func _initialize() -> void:
	begin(60.0)
	var tls: TLSOptions = null
	if not argument("ca").is_empty():
		var root := X509Certificate.new()
		root.load(argument("ca"))
		tls = TLSOptions.client(root)
	_peer.create_client(argument("url"), tls)
	await until(_joined)
	if equal("joins", _peer.get_connection_status(), MultiplayerPeer.CONNECTION_CONNECTED):
		_send("/hello Godot")
		check("plays until the browser says bye", await until(_play, 60.0))
		check("was spoken to", _spoken)
		check("saw the browser's player move", _moves > 5, _moves)
	_peer.close()
	end()


func _joined() -> bool:
	_peer.poll()
	return _peer.get_connection_status() != MultiplayerPeer.CONNECTION_CONNECTING


func _play() -> bool:
	_peer.poll()
	while _peer.get_available_packet_count() > 0:
		var words := _peer.get_packet().get_string_from_utf8().split(" ")
		if words[0] == "all" and int(words[1]) != _peer.get_unique_id():
			_answer(words[1], words.slice(2))
	return _is_over or _peer.get_connection_status() != MultiplayerPeer.CONNECTION_CONNECTED


func _answer(id: String, words: PackedStringArray) -> void:
	match words[0]:
		"say":
			_spoken = true
			_send("/all say I am %d, and you are %s" % [_peer.get_unique_id(), id])
		"move":
			_moves += 1
			# The other side of the field.
			_send("/all move %d %d" % [100 - int(words[1]), 100 - int(words[2])])
		"bye":
			_is_over = true


func _send(text: String) -> void:
	_peer.set_target_peer(1)
	_peer.put_packet(text.to_utf8_buffer())
