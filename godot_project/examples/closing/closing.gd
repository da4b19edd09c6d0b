extends Node
## How connections begin and end, and how far away somebody is: a server and its players in one scene.
##
## godot --headless --path godot_project res://examples/closing/closing.tscn

var _server := MioWebSocketMultiplayerPeer.new()
var _player: MioWebSocketMultiplayerPeer
var _stands_still := false


func _ready() -> void:
	# 20 seconds are enough in a game; nobody wants to wait for them here.
	_server.heartbeat_interval = 0.2
	_server.allowed_paths = ["/play"]
	if _server.create_server(0, "127.0.0.1") != OK:
		get_tree().quit(1)
		return
	_server.peer_closed.connect(_on_peer_closed.bind("server"))

	var id := await _join("/play")
	while _server.get_peer_rtt(id) < 0.0:
		await get_tree().process_frame
	var times := [_server.get_peer_rtt(id) * 1000.0, _server.get_peer_jitter(id) * 1000.0]
	print("The player is %.1f ms away, give or take %.1f ms." % times)
	_server.close_peer(id, 4001, "Banned until Friday")
	await _until_gone()

	await _join("/play")
	_player.close_peer(1, 4100, "Bedtime")
	await _until_gone()

	# Asks for a place that is not there; the player is never connected.
	await _join("/pray")

	# Somebody takes the connection and then says nothing. Each phase can have a time of its own.
	var silent := TCPServer.new()
	silent.listen(0, "127.0.0.1")
	await _connect("ws://127.0.0.1:%d" % silent.get_local_port())

	# A player who stands still, as one whose network is gone.
	_server.heartbeat_timeout = 0.5
	await _join("/play")
	_stands_still = true
	while _server.get_peer_ids().size() > 0:
		await get_tree().process_frame
	get_tree().quit()


func _process(_delta: float) -> void:
	# A peer that is the scene tree's multiplayer_peer is polled by the tree.
	_server.poll()
	if _player != null and not _stands_still:
		_player.poll()


## A new player tries to join; its id, or 0 when it could not.
func _join(path: String) -> int:
	return await _connect("ws://127.0.0.1:%d%s" % [_server.get_local_port(), path])


func _connect(url: String) -> int:
	_player = MioWebSocketMultiplayerPeer.new()
	_player.peer_closed.connect(_on_peer_closed.bind("player"))
	# handshake_timeout is for the whole way, 3 seconds, and these are for its parts. Of several addresses of a name
	# the first that answers is taken.
	_player.connect_timeout = 1.0
	_player.upgrade_timeout = 1.0
	_player.create_client(url)
	while _player.get_connection_status() == MultiplayerPeer.CONNECTION_CONNECTING:
		await get_tree().process_frame
	var error := _player.get_connection_error()
	if not error.is_empty():
		print("No connection (%s): %s." % [error.phase, error.message])
		if error.status != 0:
			print("The server says: %d %s" % [error.status, error.body.strip_edges()])
	return _player.get_unique_id()


func _until_gone() -> void:
	while _player.get_connection_status() != MultiplayerPeer.CONNECTION_DISCONNECTED or _server.get_peer_ids().size() > 0:
		await get_tree().process_frame


func _on_peer_closed(id: int, code: int, reason: String, was_clean: bool, who: String) -> void:
	# Where the cable was pulled there is no reason to show.
	print("The %s has lost %d: %s (%d)." % [who, id, reason if was_clean else "connection lost", code])
