extends SceneTree
## Through SceneMultiplayer the API holds the only reference to its peer, so a handler can end the peer it comes from.

const Harness := preload("res://support/harness.gd")
const Session := preload("res://support/session.gd")
const Branch := preload("res://support/branch.gd")

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self)
	if not t.ready():
		return
	for side: String in ["server", "client"]:
		for event: StringName in [&"peer_connected", &"peer_disconnected"]:
			for source: String in ["peer", "api"]:
				await _drop(side, event, source)
	for ending: String in ["close", "null"]:
		_end_inside_rpc(ending, true)
		_end_inside_rpc(ending, false)
	_poll_inside_rpc()
	_kick_and_call_in_peer_connected()
	_reconnect_in_server_disconnected()
	t.finish()


## The API's reference is dropped in a handler of the peer's own signal, or of the API's.
func _drop(side_name: String, event: StringName, source: String) -> void:
	var port := t.free_port()
	var server: Branch = Branch.create(self, "Server", _server_peer(port))
	var client: Branch = Branch.create(self, "Client", _client_peer(port))
	var dropping: Branch = server if side_name == "server" else client
	var staying: Branch = client if side_name == "server" else server
	var happened := [false]
	var api := dropping.api
	var drop := func(_id: int) -> void:
		happened[0] = true
		api.multiplayer_peer = null
	var emitter: Object = dropping.peer() if source == "peer" else api
	emitter.connect(event, drop, CONNECT_ONE_SHOT)
	emitter = null
	var dropped := t.pump(
		[server, client],
		func() -> bool: return happened[0] or (event == &"peer_disconnected" and not client.api.get_peers().is_empty())
	)
	if event == &"peer_disconnected":
		staying.peer().close()
		dropped = t.pump([dropping], func() -> bool: return happened[0])
	elif dropped:
		# The connection of a peer that is no more ends on the other side too, at the latest with the frame.
		await process_frame
		await process_frame
		dropped = t.pump([staying], func() -> bool: return _is_alone(staying))
	t.check(
		"multiplayer_peer = null in %s of the %s's %s" % [event, side_name, source],
		dropped and not api.has_multiplayer_peer(),
		"handler called: %s" % happened
	)
	server.retire()
	client.retire()


func _is_alone(branch: Branch) -> bool:
	var status := branch.peer().get_connection_status()
	return status == Harness.DISCONNECTED or (status == Harness.CONNECTED and branch.api.get_peers().is_empty())


## An RPC ends the connection while more packets wait behind it; its argument must stay readable.
func _end_inside_rpc(ending: String, on_server: bool) -> void:
	var session: Session = Session.open(t, self, 1)
	var caller: Branch = session.clients[0] if on_server else session.server
	var callee: Branch = session.server if on_server else session.clients[0]
	var target := callee.id()
	caller.actor.reliable.rpc_id(target, "first")
	session.pump(func() -> bool: return not callee.actor.calls.is_empty())
	callee.actor.calls.clear()
	var read := []
	var api := callee.api
	var end := func(_method: String, _sender: int, value: PackedByteArray) -> void:
		if ending == "close":
			api.multiplayer_peer.close()
		else:
			api.multiplayer_peer = null
		# Work that would overwrite a packet's memory if it were free already.
		for i in 20:
			t.bytes(2000, i)
		read.append(value == t.bytes(2000, 77))
	callee.actor.called.connect(end)
	for i in 10:
		caller.actor.reliable.rpc_id(target, t.bytes(2000, 77))
	caller.poll()
	t.settle()
	callee.poll()
	t.spin(session.all)
	t.equal(
		"%s inside an RPC of a %s, more packets waiting" % [ending, "server" if on_server else "client"],
		[read, api.has_multiplayer_peer(), callee.events.has("server gone")],
		[[true], ending == "close", ending == "close"]
	)
	callee.actor.called.disconnect(end)
	session.close()


func _poll_inside_rpc() -> void:
	var session: Session = Session.open(t, self, 1)
	var client: Branch = session.clients[0]
	var id := client.id()
	client.actor.called.connect(func(_method: String, _sender: int, _value: Variant) -> void: client.api.poll())
	for i in 50:
		session.server.actor.reliable.rpc_id(id, i)
	session.pump(func() -> bool: return client.actor.calls.size() == 50)
	var got := client.values("reliable")
	got.sort()
	t.equal("a nested poll inside an RPC loses nothing", got, range(50))
	session.close()


func _kick_and_call_in_peer_connected() -> void:
	var session: Session = Session.open(t, self, 1)
	var server := session.server
	server.api.peer_connected.connect(
		func(id: int) -> void:
			server.actor.reliable.rpc_id(session.clients[0].id(), "somebody comes")
			server.api.disconnect_peer(id),
		CONNECT_ONE_SHOT
	)
	var guest: Branch = Branch.create(self, "Guest", _client_peer(session.port))
	var all: Array = session.all + [guest]
	t.pump(all, func() -> bool: return guest.events.has("server gone") or guest.events.has("failed"))
	t.spin(all)
	t.equal(
		"kicked in peer_connected, while others get a call",
		[
			session.clients[0].values("reliable"),
			server.api.get_peers().size(),
			session.clients[0].api.get_peers().size()
		],
		[["somebody comes"], 1, 1]
	)
	guest.retire()
	session.close()


func _reconnect_in_server_disconnected() -> void:
	var session: Session = Session.open(t, self, 1)
	var client: Branch = session.clients[0]
	var api := client.api
	var port := session.port
	api.server_disconnected.connect(func() -> void: api.multiplayer_peer = _client_peer(port), CONNECT_ONE_SHOT)
	session.server.api.disconnect_peer(client.id())
	var again := session.pump(func() -> bool: return client.events.count("connected") == 2)
	t.equal("a new client peer in server_disconnected", [again, session.server.api.get_peers().size()], [true, 1])
	session.close()


func _server_peer(port: int) -> MultiplayerPeer:
	var peer := t.new_server()
	peer.create_server(port, "127.0.0.1")
	return peer


func _client_peer(port: int) -> MultiplayerPeer:
	var peer := t.new_client()
	peer.create_client(t.url(port))
	return peer
