extends SceneTree
## Spawners, synchronizers and authentication in sessions of the built-in class and ours, with either as the server.

const Harness := preload("res://support/harness.gd")
const Session := preload("res://support/session.gd")
const Branch := preload("res://support/branch.gd")
const Pawn := preload("res://support/pawn.gd")

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self, 18.0)
	if not t.ready():
		return
	var mixed := [t.peer_class, Harness.BUILT_IN, t.peer_class, Harness.BUILT_IN]
	for server_class: String in [t.peer_class, Harness.BUILT_IN]:
		var name := "server %s" % server_class
		await _spawn_and_sync(name, server_class, mixed)
		_authentication(name, server_class)
	t.finish()


func _spawn_and_sync(name: String, server_class: String, classes: Array) -> void:
	# Synchronizers work in frames, so the branches are polled once in each.
	var session: Session = Session.open_mixed(t, self, server_class, [], Pawn.add_spawner)
	for client_class: String in classes.slice(0, 2):
		session.add(client_class, Pawn.add_spawner)
	var poll := func() -> void: session.all.map(func(branch: Branch) -> void: branch.poll())
	process_frame.connect(poll)
	var early: Array[Node] = [Pawn.spawn(session.server, 1)]
	for client: Branch in session.clients:
		early.append(Pawn.spawn(session.server, client.id()))
	for i in 10:
		await process_frame
	# One that comes later sees what was spawned before.
	session.add(classes[3], Pawn.add_spawner)
	for i in 40:
		await process_frame
	var seen: Array = session.all.map(func(branch: Branch) -> Array: return Pawn.seen(branch))
	var ids := [1, session.clients[0].id(), session.clients[1].id()]
	ids.sort()
	t.equal("%s: pawns of the server and of clients are spawned and move everywhere" % name, seen, _repeat(ids, 4))
	early[0].free()
	for i in 10:
		await process_frame
	ids.erase(1)
	t.equal(
		"%s: a despawn reaches everybody" % name,
		session.all.map(func(branch: Branch) -> Array: return Pawn.seen(branch)),
		_repeat(ids, 4)
	)
	process_frame.disconnect(poll)
	session.close()


func _authentication(name: String, server_class: String) -> void:
	for client_class: String in [t.peer_class, Harness.BUILT_IN]:
		var asked := {}
		var prepare := func(branch: Branch) -> void:
			# Through the branch, because an API that its own handlers hold never goes.
			var is_server := branch.name.begins_with("Server")
			branch.api.auth_timeout = 0.5
			branch.api.auth_callback = func(id: int, data: PackedByteArray) -> void:
				if is_server:
					asked[id] = data.get_string_from_utf8()
					if asked[id] == "the word":
						branch.api.send_auth(id, "welcome".to_utf8_buffer())
						branch.api.complete_auth(id)
				elif data.get_string_from_utf8() == "welcome":
					branch.api.complete_auth(id)
			if not is_server:
				branch.api.peer_authenticating.connect(
					func(id: int) -> void:
						branch.api.send_auth(id, branch.get_meta("word", "the word").to_utf8_buffer())
				)
		var session: Session = Session.open_mixed(t, self, server_class, [client_class], prepare)
		var id := session.clients[0].id()
		t.equal(
			"%s: a %s that knows the word is let in" % [name, client_class],
			[asked.get(id), Array(session.clients[0].events)],
			["the word", ["authenticating 1", "connected", "+1"]]
		)
		var peer: MultiplayerPeer = ClassDB.instantiate(client_class)
		peer.create_client(t.url(session.port))
		var stranger: Branch = Branch.create(self, "Stranger", peer)
		stranger.set_meta("word", "another word")
		prepare.call(stranger)
		session.all.append(stranger)
		session.pump(func() -> bool: return stranger.events.has("server gone"))
		t.equal(
			"%s: a %s that does not know it is put out" % [name, client_class],
			[Array(stranger.events), session.server.api.get_peers().size()],
			[["authenticating 1", "authentication failed 1", "server gone"], 1]
		)
		session.server.api.auth_callback = Callable()
		for branch: Branch in session.clients + [stranger]:
			branch.api.auth_callback = Callable()
		session.close()


func _repeat(value: Variant, count: int) -> Array:
	var result := []
	for i in count:
		result.append(value)
	return result
