extends SceneTree
## Objects and ports are used again and again, after every kind of end.

const Harness := preload("res://support/harness.gd")
const Session := preload("res://support/session.gd")
const Branch := preload("res://support/branch.gd")

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self)
	if not t.ready():
		return
	_cycles()
	_client_alone_cycles()
	_after_refusal()
	_after_server_loss()
	_after_timeout()
	_client_to_server_and_back()
	_through_the_api()
	t.finish()


func _connected(server: MultiplayerPeer, client: MultiplayerPeer) -> bool:
	return t.pump(
		[server, client],
		func() -> bool:
			return (
				client.get_connection_status() == Harness.CONNECTED and server.get_peer(client.get_unique_id()) != null
			)
	)


## Both ends are closed and created again, on one port, without a pause.
func _cycles() -> void:
	var server := t.new_server()
	var client := t.new_client()
	var port := t.free_port()
	var ids := {}
	var good := 0
	var server_events := t.record(server)
	for i in 20:
		var errors := [server.create_server(port, "127.0.0.1"), client.create_client(t.url(port))]
		if errors != [OK, OK] or not _connected(server, client):
			break
		ids[client.get_unique_id()] = true
		var net := {"server": server, "clients": [client]}
		if t.talks(net):
			good += 1
		if i % 2 == 0:
			client.close()
			server.close()
		else:
			server.close()
			client.close()
	t.equal(
		"20 times close and create on both sides: talks, different ids, signals",
		[good, ids.size(), server_events.size()],
		[20, 20, 20]
	)
	t.retire([server, client])


## The server stays, the client comes and goes.
func _client_alone_cycles() -> void:
	var net := t.connect_net(0)
	var client := t.new_client()
	var events := t.record(net.server)
	var good := 0
	for i in 20:
		client.create_client(t.url(net.port))
		if not _connected(net.server, client):
			break
		good += int(t.talks({"server": net.server, "clients": [client]}))
		match i % 3:
			0:
				client.close()
			1:
				client.disconnect_peer(1)
			2:
				net.server.disconnect_peer(client.get_unique_id())
		t.pump(
			[net.server, client],
			func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED and events.size() == 2 * i + 2
		)
	t.equal("20 times the same client at one server: talks, signals", [good, events.size()], [20, 40])
	t.retire([client])
	t.close_net(net)


func _after_refusal() -> void:
	var client := t.new_client()
	var events := t.record(client)
	var port := t.free_port()
	var seen := []
	for i in 3:
		seen.append(client.create_client(t.url(port)))
		seen.append(t.pump([client], func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED))
	t.equal("refused connections end without a signal", [seen, events.size()], [[OK, true, OK, true, OK, true], 0])
	var server := t.new_server()
	server.create_server(port, "127.0.0.1")
	client.create_client(t.url(port))
	t.check("connects when somebody listens", _connected(server, client))
	t.retire([client, server])


func _after_server_loss() -> void:
	var net := t.connect_net(1)
	var client: MultiplayerPeer = net.clients[0]
	var events := t.record(client)
	var first := client.get_unique_id()
	net.server.put_packet(t.bytes(7))
	t.spin([client], 20)
	net.server.close()
	t.pump([client], func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED)
	net.server.create_server(net.port, "127.0.0.1")
	client.create_client(t.url(net.port))
	var again := _connected(net.server, client)
	t.equal(
		"after the server was lost: signals, a new id",
		[again, events, client.get_unique_id() != first],
		[true, ["-1", "+1"] as Array[String], true]
	)
	t.take(client)
	t.check("and both talk", t.talks(net))
	t.close_net(net)


func _after_timeout() -> void:
	var silent := TCPServer.new()
	silent.listen(0, "127.0.0.1")
	var client := t.new_client()
	client.handshake_timeout = 0.2
	client.create_client(t.url(silent.get_local_port()))
	var ended := t.pump([client], func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED)
	client.handshake_timeout = 3.0
	var net := t.connect_net(0)
	client.create_client(t.url(net.port))
	t.equal("connects after a timeout", [ended, _connected(net.server, client)], [true, true])
	# In the middle of connecting, and twice at once.
	client.close()
	client.create_client(t.url(silent.get_local_port()))
	client.poll()
	t.expect_error("the peer is active already")
	var twice: Error = client.create_client(t.url(net.port))
	client.close()
	client.create_client(t.url(net.port))
	t.equal(
		"closes while connecting and connects elsewhere",
		[twice, _connected(net.server, client)],
		[ERR_ALREADY_IN_USE, true]
	)
	t.retire([client])
	t.close_net(net)


func _client_to_server_and_back() -> void:
	var net := t.connect_net(1)
	var turning: MultiplayerPeer = net.clients[0]
	var other: MultiplayerPeer = net.server
	var port := t.free_port()
	var good := []
	for i in 4:
		turning.close()
		other.close()
		turning.create_server(port, "127.0.0.1")
		other.create_client(t.url(port))
		good.append([_connected(turning, other), turning.get_unique_id(), other.get_unique_id() > 1])
		var swap := turning
		turning = other
		other = swap
	t.equal(
		"two objects take turns as server and client",
		good,
		[[true, 1, true], [true, 1, true], [true, 1, true], [true, 1, true]]
	)
	t.close_net(net)


func _through_the_api() -> void:
	var session: Session = Session.open(t, self, 2)
	var client: Branch = session.clients[0]
	var peer := client.peer()
	var calls := 0
	for i in 5:
		peer.close()
		session.pump(
			func() -> bool: return client.events[-1] == "server gone" and session.server.api.get_peers().size() == 1
		)
		peer.create_client(t.url(session.port))
		session.pump(
			func() -> bool: return session.server.api.get_peers().size() == 2 and client.api.get_peers().size() == 2
		)
		client.actor.reliable.rpc("again")
		session.pump(func() -> bool: return session.clients[1].actor.calls.size() == i + 1)
		calls = session.clients[1].actor.calls.size()
	t.equal(
		"five reconnects below one API, calls go through each time", [calls, session.server.actor.calls.size()], [5, 5]
	)
	session.close()
