extends SceneTree
## An error in a handler ends the handler and nothing else: others are called, packets of the poll can be taken, what was
## to be written is written, and whoever has gone is forgotten.

const Harness := preload("res://support/harness.gd")
const Session := preload("res://support/session.gd")

var t := Harness.new()
## How often a handler has failed.
var _failures := 0


func _initialize() -> void:
	await process_frame
	t.begin(self)
	if not t.ready():
		return
	t.expect_error("SCRIPT ERROR: Out of bounds get index '7'")
	_when_they_come()
	_when_they_go()
	_in_a_client()
	_after_something_was_done()
	_beside_packets()
	await _in_deferred_calls()
	_in_rpcs()
	_in_every_signal()
	t.finish()


## A handler for any signal.
func _fail(_a: Variant = null, _b: Variant = null, _c: Variant = null, _d: Variant = null) -> void:
	_failures += 1
	var nothing := []
	nothing[7].never_reached()


func _when_they_come() -> void:
	_failures = 0
	var server := t.new_server()
	# All of them are to come in one poll.
	server.poll_time_limit = 60.0
	server.poll_handshake_time_limit = 60.0
	server.peer_connected.connect(_fail)
	var events := t.record(server)
	server.peer_connected.connect(func(_id: int) -> void: _fail())
	var port := t.free_port()
	server.create_server(port, "127.0.0.1")
	var clients: Array[MultiplayerPeer] = []
	for i in 3:
		clients.append(t.new_client())
		clients[i].create_client(t.url(port))
	var all_are_in := func() -> bool:
		return clients.all(
			func(client: MultiplayerPeer) -> bool: return client.get_connection_status() == Harness.CONNECTED
		)
	t.check("all come in", t.pump([server] + clients, all_are_in))
	var wanted := clients.map(func(client: MultiplayerPeer) -> String: return "+%d" % client.get_unique_id())
	t.equal("and every handler hears of all of them", [Array(events), _failures], [wanted, 6])
	for client in clients:
		t.check("and they play", t.talks({"server": server, "clients": [client]}))
	t.retire([server] + clients)


func _when_they_go() -> void:
	_failures = 0
	var net := t.connect_net(3)
	var server: MultiplayerPeer = net.server
	server.peer_disconnected.connect(_fail)
	var events := t.record(server)
	var views := [server.get_peer(net.ids[0]), server.get_peer(net.ids[1])]
	net.clients[0].close()
	server.disconnect_peer(net.ids[1])
	t.pump(net.all, func() -> bool: return events.size() == 2)
	t.equal("every end is heard of", _failures, 2)
	t.equal("and their connections are over", [views[0].get_ready_state(), views[1].get_ready_state()], [3, 3])
	t.expect_error("get_peer")
	var are_forgotten: bool = server.get_peer(net.ids[0]) == null and server.get_peer(net.ids[1]) == null
	t.check("and they are forgotten", are_forgotten)
	t.check("the third one plays on", t.talks(net, 2))
	t.close_net(net)


func _in_a_client() -> void:
	_failures = 0
	var net := t.connect_net(0)
	var client := t.new_client()
	client.peer_connected.connect(_fail)
	client.peer_disconnected.connect(_fail)
	t.check("a client connects", t.add_client(net, client))
	t.check("a client plays", t.talks(net))
	net.server.disconnect_peer(client.get_unique_id())
	var is_over := func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED
	t.check("a client is over", t.pump(net.all, is_over))
	t.equal("its handlers have failed", _failures, 2)
	net.all.erase(client)
	net.clients.clear()
	t.check("it connects again", t.add_client(net, client))
	t.check("and plays", t.talks(net))
	t.close_net(net)


func _after_something_was_done() -> void:
	_failures = 0
	var net := t.connect_net(1)
	var server: MultiplayerPeer = net.server
	var events := t.record(server)
	var act_and_fail := func(id: int) -> void:
		server.set_target_peer(id)
		server.put_packet(PackedByteArray([1]))
		server.disconnect_peer(net.ids[0])
		_fail()
	server.peer_connected.connect(act_and_fail)
	var guest := t.new_client()
	guest.create_client(t.url(net.port))
	net.all.append(guest)
	t.pump(net.all, func() -> bool: return events.size() == 2 and guest.get_available_packet_count() > 0)
	t.equal("what was sent before the error arrives", t.take(guest), [PackedByteArray([1])] as Array[PackedByteArray])
	t.equal("who was told to go has gone", events[1], "-%d" % net.ids[0])
	t.close_net(net)


func _beside_packets() -> void:
	_failures = 0
	var net := t.connect_net(3)
	var server: MultiplayerPeer = net.server
	server.peer_disconnected.connect(_fail)
	for i in 3:
		net.clients[i].put_packet(t.numbered(i))
	net.clients[0].close()
	for client: MultiplayerPeer in net.clients.slice(1):
		client.poll()
	var got: Array[PackedByteArray] = []
	var have_come := func() -> bool:
		got.append_array(t.take(server))
		return got.size() >= 3 and _failures == 1
	t.check("packets of that poll can be taken", t.pump([server], have_come))
	got.sort()
	t.equal("each of them", got, [t.numbered(0), t.numbered(1), t.numbered(2)] as Array[PackedByteArray])
	t.close_net(net)


## What a peer collects leaves by a deferred call, which has others around it.
func _in_deferred_calls() -> void:
	_failures = 0
	var net := t.connect_net(1)
	var client: MultiplayerPeer = net.clients[0]
	await process_frame
	for peer: MultiplayerPeer in net.all:
		peer.poll()
	_fail.call_deferred()
	client.put_packet(PackedByteArray([1]))
	_fail.call_deferred()
	client.put_packet(PackedByteArray([2]))
	await process_frame
	await process_frame
	t.equal("deferred calls have failed", _failures, 2)
	var got := func() -> bool: return net.server.get_available_packet_count() == 2
	t.check("and what was sent in that frame has left", t.pump([net.server], got))
	t.close_net(net)


func _in_rpcs() -> void:
	_failures = 0
	var session: Session = Session.open(t, self, 2)
	var actor: Node = session.server.actor
	actor.called.connect(_fail)
	session.server.api.peer_disconnected.connect(_fail)
	for client in session.clients:
		client.actor.rpc_id(1, "reliable", client.id())
		client.actor.rpc_id(1, "ordered", 2)
	session.pump(func() -> bool: return actor.calls.size() == 4)
	t.equal("calls are made although each fails", [actor.calls.size(), _failures], [4, 4])
	session.clients[0].api.multiplayer_peer.close()
	t.check("ends are noticed", session.pump(func() -> bool: return session.server.api.get_peers().size() == 1))
	session.clients[1].actor.rpc_id(1, "reliable", 3)
	t.check("calls go on", session.pump(func() -> bool: return actor.calls.size() == 5))
	session.close()


## Whatever signals there are.
func _in_every_signal() -> void:
	_failures = 0
	var server := t.new_server()
	var client := t.new_client()
	for peer: MultiplayerPeer in [server, client]:
		for event in peer.get_signal_list():
			peer.connect(event.name, _fail)
	var net := {"server": server, "port": t.free_port(), "clients": [], "ids": [], "all": [server]}
	server.create_server(net.port, "127.0.0.1")
	t.add_client(net, client)
	t.check("with failing handlers everywhere both play", t.talks(net))
	client.close()
	t.pump(net.all, func() -> bool: return _failures >= 3)
	t.check("a client comes back", t.add_client(net, client))
	net.clients.pop_front()
	t.check("and plays", t.talks(net))
	t.close_net(net)
	for peer: MultiplayerPeer in [server, client]:
		for event in peer.get_signal_list():
			if peer.is_connected(event.name, _fail):
				peer.disconnect(event.name, _fail)
