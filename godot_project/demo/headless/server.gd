extends "res://demo/headless/demo_process.gd"
## The demo's server: gathers the players, directs the play, kicks one, checks that all went well.
##
## godot --headless --path godot_project --script res://demo/headless/server.gd -- --port=0 --port-file=PATH
##     --class=MioWebSocketMultiplayerPeer --clients=5

const LIMIT := 40.0

var _clients := 5


func _initialize() -> void:
	var peer_class := argument("class", "MioWebSocketMultiplayerPeer")
	_clients = int(argument("clients", "5"))
	begin("server", "server", peer_class, LIMIT)
	if _listen(peer_class):
		arena.introduced.connect(_on_introduced)
		await _direct()
	await end()


func _listen(peer_class: String) -> bool:
	var peer := make_peer(peer_class)
	if peer == null:
		return false
	var port := int(argument("port", "0"))
	if port == 0 and not peer.has_method(&"get_local_port"):
		port = _free_port()
	var error: Error = peer.call(&"create_server", port, "127.0.0.1")
	if error != OK:
		fail("cannot listen on port %d: %s" % [port, error_string(error)])
		return false
	if port == 0:
		port = peer.call(&"get_local_port")
	get_multiplayer().multiplayer_peer = peer
	say("listens on 127.0.0.1:%d (%s)" % [port, peer_class])
	return _publish(port)


## Written beside and renamed, so that nobody reads half a number.
func _publish(port: int) -> bool:
	var path := argument("port-file", "")
	if path.is_empty():
		return true
	var file := FileAccess.open(path + ".part", FileAccess.WRITE)
	if file == null:
		fail("cannot write %s" % path)
		return false
	file.store_string(str(port))
	file.close()
	if DirAccess.rename_absolute(path + ".part", path) != OK:
		fail("cannot write %s" % path)
		return false
	return true


func _direct() -> void:
	if not await until(_all_reported.bind("ready"), "%d players that see each other" % _clients):
		return
	var everyone := arena.names_here()
	say("everybody is here: %s; the play begins" % ", ".join(everyone))
	arena.set_scene.rpc("chat")
	if not await until(_all_reported.bind("chat"), "everybody to hear everybody"):
		return
	_check_chat(everyone)
	if not await until(_all_moved, "positions of all players"):
		return
	say("saw everybody move and heard everybody in all modes")

	arena.set_scene.rpc("leave")
	for who in arena.names_with_role("leave"):
		if not await until(func() -> bool: return arena.gone.has(who), "%s to leave" % who):
			return
	arena.set_scene.rpc("kick")
	for who in arena.names_with_role("kicked"):
		if not await _kick(who):
			return

	if not await until(_all_reported.bind("farewell"), "the others to see them go"):
		return
	say("the play is over; remaining: %s" % ", ".join(arena.names_here()))
	# One after the other: the API tells those who remain about each that goes.
	for id: int in arena.people.keys():
		arena.set_scene.rpc_id(id, "end")
		if not await until(func() -> bool: return not arena.people.has(id), "%s to go home" % arena.people[id].name):
			return
	if not await until(func() -> bool: return arena.players.get_child_count() == 0, "the stage to be empty"):
		return
	check(get_multiplayer().get_peers().is_empty(), "peers are left over: %s" % get_multiplayer().get_peers())
	say("everybody has gone")


func _kick(who: String) -> bool:
	var id := arena.id_of(who)
	arena.will_kick.rpc_id(id, "you are kicked, %s, sorry" % who)
	await pause(0.2)
	say("kicks %s" % who)
	get_multiplayer().multiplayer_peer.disconnect_peer(id)
	return await until(func() -> bool: return arena.gone.has(who), "%s to be gone" % who)


func _on_introduced(id: int) -> void:
	arena.welcome.rpc_id(id, _clients)
	arena.spawner.spawn([id, arena.people[id].name])


func _all_reported(what: String) -> bool:
	if arena.people.is_empty() or (what == "ready" and arena.people.size() < _clients):
		return false
	for id: int in arena.people:
		if not arena.reports.get(id, {}).has(what):
			return false
	return true


func _all_moved() -> bool:
	for id: int in arena.people:
		var player := arena.player_of(id)
		if player == null or player.moves < 20:
			return false
	return true


func _check_chat(everyone: PackedStringArray) -> void:
	for who in everyone:
		for mode in Arena.MODES:
			check(arena.heard.get(who, {}).has(mode), "%s was not heard in mode %s" % [who, mode])
		check(arena.cheers.get(who, 0) == 1, "%s was heard to cheer %d times" % [who, arena.cheers.get(who, 0)])
	check(arena.whispers.is_empty(), "whispers between clients reached the server's ears")


func _free_port() -> int:
	var probe := TCPServer.new()
	probe.listen(0, "127.0.0.1")
	var port := probe.get_local_port()
	probe.stop()
	return port
