extends SceneTree
## Sessions in which the built-in class and ours play together, with either as the server.

const Harness := preload("res://support/harness.gd")
const Session := preload("res://support/session.gd")
const Branch := preload("res://support/branch.gd")

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self, 18.0)
	if not t.ready():
		return
	var mixed := [t.peer_class, Harness.BUILT_IN, t.peer_class, Harness.BUILT_IN]
	for server_class: String in [t.peer_class, Harness.BUILT_IN]:
		var name := "server %s" % server_class
		var session: Session = Session.open_mixed(t, self, server_class, mixed)
		_connection_events(name, session)
		_server_calls(name, session)
		_client_calls(name, session)
		_relay(name, session)
		_sizes(name, session)
		_leaving(name, session)
		session.close()
	t.finish()


func _connection_events(name: String, session: Session) -> void:
	var first: Branch = session.clients[0]
	var wanted := ["connected", "+1"]
	for client in session.clients.slice(1):
		wanted.append("+%d" % client.id())
	t.equal("%s: a client hears of the server and of all others in order" % name, Array(first.events), wanted)


## Each client's calls of `method`, as [sender, value].
func _heard(session: Session, method: String) -> Array:
	return session.all.map(
		func(branch: Branch) -> Array:
			return (
				branch
				. actor
				. calls
				. filter(func(call: Array) -> bool: return call[0] == method)
				. map(func(call: Array) -> Array: return [call[1], call[2]])
			)
	)


func _clear(session: Session) -> void:
	for branch: Branch in session.all:
		branch.actor.calls.clear()


func _server_calls(name: String, session: Session) -> void:
	var actor := session.server.actor
	for method: String in ["reliable", "unreliable", "ordered"]:
		_clear(session)
		actor.rpc(method, "all")
		actor.rpc_id(session.clients[1].id(), method, "one")
		actor.rpc_id(-session.clients[2].id(), method, "all but one")
		session.spin()
		var all := [1, "all"]
		var but := [1, "all but one"]
		t.equal(
			"%s: the server's %s calls to all, one, all but one" % [name, method],
			_heard(session, method),
			[[], [all, but], [all, [1, "one"], but], [all], [all, but]]
		)
	_clear(session)
	actor.local.rpc("everybody")
	actor.from_authority.rpc("orders")
	session.spin()
	t.equal(
		"%s: call_local is called on the server too" % name,
		_heard(session, "local").map(func(list: Array) -> int: return list.size()),
		[1, 1, 1, 1, 1]
	)
	t.equal("%s: the authority's call" % name, _heard(session, "from_authority"), [[]] + _repeat([[1, "orders"]], 4))


func _client_calls(name: String, session: Session) -> void:
	for client: Branch in session.clients:
		_clear(session)
		for method: String in ["reliable", "unreliable", "ordered"]:
			client.actor.rpc_id(1, method, "to the server")
		session.spin(20)
		t.equal(
			"%s: a %s calls the server in all modes" % [name, client.peer().get_class()],
			session.server.actor.calls.map(func(call: Array) -> Array: return [call[0], call[1]]),
			[["reliable", client.id()], ["unreliable", client.id()], ["ordered", client.id()]]
		)


## From each client to each other, through the server.
func _relay(name: String, session: Session) -> void:
	var clients := session.clients
	for method: String in ["reliable", "unreliable", "ordered"]:
		_clear(session)
		for from: Branch in clients:
			for to: Branch in clients:
				if from != to:
					from.actor.rpc_id(to.id(), method, [from.id(), to.id()])
		session.spin()
		var right := true
		for to: Branch in clients:
			var from := clients.filter(func(client: Branch) -> bool: return client != to)
			var wanted := from.map(func(client: Branch) -> Array: return [client.id(), [client.id(), to.id()]])
			var got: Array = _heard(session, method)[session.all.find(to)]
			got.sort()
			wanted.sort()
			right = right and got == wanted
		t.check("%s: every client calls every other, %s" % [name, method], right, _heard(session, method))
	_clear(session)
	clients[1].actor.reliable.rpc("all")
	clients[1].actor.rpc_id(-clients[2].id(), "reliable", "all but one")
	session.spin()
	var id := clients[1].id()
	var both := [[id, "all"], [id, "all but one"]]
	t.equal(
		"%s: a client's call to all and to all but one" % name,
		_heard(session, "reliable"),
		[both, both, [], [[id, "all"]], both]
	)


func _sizes(name: String, session: Session) -> void:
	for size: int in [1, 120, 125, 126, 127, 1000, 65000]:
		_clear(session)
		var data := t.bytes(size, size)
		session.server.actor.reliable.rpc(data)
		for client: Branch in session.clients:
			client.actor.reliable.rpc_id(1, data)
		session.pump(
			func() -> bool:
				return session.all.all(func(branch: Branch) -> bool: return not branch.actor.calls.is_empty())
		)
		session.spin(5)
		var values: Array = session.all.map(func(branch: Branch) -> Array: return branch.values("reliable"))
		t.check(
			"%s: arguments of %d bytes, both ways" % [name, size],
			values == [_repeat(data, 4)] + _repeat([data], 4),
			"something else arrived"
		)


func _leaving(name: String, session: Session) -> void:
	var kicked: Branch = session.clients[2]
	var leaver: Branch = session.clients[3]
	var ids := [kicked.id(), leaver.id()]
	session.server.peer().disconnect_peer(ids[0])
	session.pump(func() -> bool: return kicked.events.has("server gone"))
	session.spin(20)
	leaver.peer().close()
	session.pump(func() -> bool: return session.server.api.get_peers().size() == 2)
	session.spin(20)
	t.equal("%s: a kicked one hears it" % name, Array(kicked.events.slice(-2)), ["-1", "server gone"])
	for branch: Branch in [session.server, session.clients[0], session.clients[1]]:
		t.equal(
			"%s: a %s hears who goes" % [name, branch.peer().get_class()],
			Array(branch.events.slice(-2)),
			["-%d" % ids[0], "-%d" % ids[1]]
		)


func _repeat(value: Variant, count: int) -> Array:
	var result := []
	for i in count:
		result.append(value)
	return result
