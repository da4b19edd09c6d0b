extends "res://demo/headless/demo_process.gd"
## A player of the demo: joins, moves, chats, and stays, leaves or is kicked.
##
## godot --headless --path godot_project --script res://demo/headless/client.gd -- --port=N --name=ada
##     --class=MioWebSocketMultiplayerPeer --role=stay|leave|kicked

const LIMIT := 35.0

var _role := "stay"
var _lost := false
var _failed_to_connect := false


func _initialize() -> void:
	var peer_class := argument("class", "MioWebSocketMultiplayerPeer")
	_role = argument("role", "stay")
	begin(argument("name", "someone"), _role, peer_class, LIMIT)
	get_multiplayer().server_disconnected.connect(func() -> void: _lost = true)
	get_multiplayer().connection_failed.connect(func() -> void: _failed_to_connect = true)
	if _dial(peer_class):
		await _play()
	await end()


func _dial(peer_class: String) -> bool:
	var peer := make_peer(peer_class)
	if peer == null:
		return false
	var error: Error = peer.call(&"create_client", "ws://127.0.0.1:%s" % argument("port", "0"))
	if error != OK:
		fail("cannot connect: %s" % error_string(error))
		return false
	get_multiplayer().multiplayer_peer = peer
	return true


func _play() -> void:
	if not await until(_everybody_is_here, "everybody to be here"):
		return
	if _failed_to_connect:
		fail("the connection failed")
		return
	say("has joined (%s) and sees %s" % [arena.me.peer_class, ", ".join(arena.names_here())])
	arena.report.rpc_id(1, "ready")

	if not await until(_scene_is.bind("chat"), "the play to begin"):
		return
	var others := arena.names_here()
	var next := _neighbour(1)
	say("greets all in three modes, cheers, and whispers to %s" % next)
	arena.talk()
	arena.cheer.rpc()
	arena.whisper.rpc_id(arena.id_of(next), "psst, %s, it is me, %s" % [next, arena.me.name])
	if not await until(_heard_everybody.bind(others), "the words of all others"):
		return
	if not await until(_saw_everybody_move, "the others to move"):
		return
	_check_chat(others)
	arena.report.rpc_id(1, "chat")

	match _role:
		"leave":
			await _leave()
		"kicked":
			await _be_kicked()
		_:
			await _stay()


func _leave() -> void:
	if await until(_scene_is.bind("leave"), "the time to leave"):
		say("leaves")


func _be_kicked() -> void:
	if not await until(func() -> bool: return _lost, "being kicked"):
		return
	check(not arena.kick_reason.is_empty(), "kicked without a reason")
	say("is out")


func _stay() -> void:
	for who in arena.names_with_role("leave") + arena.names_with_role("kicked"):
		if not await until(_has_gone.bind(who), "%s to go" % who):
			return
	var moves := _moves_of_others()
	if not await until(_others_moved_on.bind(moves), "the remaining players to go on moving"):
		return
	check(not _lost, "lost the server in the middle of the play")
	arena.report.rpc_id(1, "farewell")
	if await until(_scene_is.bind("end"), "the end"):
		say("goes home")


func _everybody_is_here() -> bool:
	if _failed_to_connect:
		return true
	var count := arena.expected
	return count > 0 and arena.people.size() == count and arena.players.get_child_count() == count


func _scene_is(title: String) -> bool:
	return arena.scene == title


func _heard_everybody(others: PackedStringArray) -> bool:
	for who in others:
		if arena.heard.get(who, {}).size() < Arena.MODES.size() or not arena.cheers.has(who):
			return false
	return arena.cheers.has(arena.me.name) and not arena.whispers.is_empty()


func _saw_everybody_move() -> bool:
	for id: int in arena.people:
		if id != 1 and (arena.player_of(id) == null or arena.player_of(id).moves < 20):
			return false
	return true


func _check_chat(others: PackedStringArray) -> void:
	for who in others:
		check(arena.cheers[who] == 1, "heard %s cheer %d times" % [who, arena.cheers[who]])
	check(arena.cheers[arena.me.name] == 1, "own cheer came back %d times" % arena.cheers[arena.me.name])
	check(arena.whispers.keys() == [_neighbour(-1)], "whispers came from %s" % [arena.whispers.keys()])


func _has_gone(who: String) -> bool:
	# The player's node goes with a despawn, later than the peer.
	if not arena.gone.has(who):
		return false
	for player in arena.players.get_children():
		if player.who == who:
			return false
	return true


func _moves_of_others() -> Dictionary:
	var moves := {}
	for id: int in arena.people:
		if id != 1:
			moves[id] = arena.player_of(id).moves
	return moves


func _others_moved_on(before: Dictionary) -> bool:
	for id: int in before:
		# Whoever has gone home already has moved enough.
		if arena.people.has(id) and arena.player_of(id) != null and arena.player_of(id).moves < before[id] + 10:
			return false
	return true


## The player `step` places after this one, in the order of names, everybody in a ring.
func _neighbour(step: int) -> String:
	var ring := arena.names_with_role("stay") + arena.names_with_role("leave") + arena.names_with_role("kicked")
	ring.append(arena.me.name)
	ring.sort()
	return ring[posmod(ring.find(arena.me.name) + step, ring.size())]
