extends SceneTree
## Handlers of a peer's signals may close that peer and create it anew; the poll that they come from goes on.

const Harness := preload("res://support/harness.gd")

var t := Harness.new()


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	for recreate: bool in [false, true]:
		_close_in_server_peer_connected(recreate)
		_close_in_server_peer_disconnected(recreate)
		_close_in_client_peer_connected(recreate)
		_close_in_client_peer_disconnected(recreate)
	_client_becomes_server_in_peer_disconnected()
	t.finish()


func _close_in_server_peer_connected(recreate: bool) -> void:
	var server := t.new_server()
	# All of them are to be accepted in one poll: those that are not get a reset.
	server.poll_time_limit = 60.0
	server.poll_handshake_time_limit = 60.0
	var port := t.free_port()
	var results := []
	var once := func(_id: int) -> void:
		server.close()
		if recreate:
			results.append(server.create_server(port, "127.0.0.1"))
	server.peer_connected.connect(once, CONNECT_ONE_SHOT)
	server.create_server(port, "127.0.0.1")
	# More connections than one are under way when the server goes.
	var clients := []
	for i in 4:
		clients.append(t.new_client())
		clients[i].create_client(t.url(port))
	t.pump([server] + clients, func() -> bool: return clients[0].get_connection_status() == Harness.DISCONNECTED)
	if recreate:
		var late := t.new_client()
		late.create_client(t.url(port))
		var joined := t.pump(
			[server, late] + clients, func() -> bool: return late.get_connection_status() == Harness.CONNECTED
		)
		t.equal(
			"close and create_server in a server's peer_connected",
			[results, server.get_connection_status(), joined],
			[[OK], Harness.CONNECTED, true]
		)
		late.close()
	else:
		t.spin([server] + clients)
		t.equal(
			"close in a server's peer_connected",
			[server.get_connection_status(), server.get_available_packet_count()],
			[Harness.DISCONNECTED, 0]
		)
	t.retire(clients + [server])


func _close_in_server_peer_disconnected(recreate: bool) -> void:
	var net := t.connect_net(3)
	var server: MultiplayerPeer = net.server
	var results := []
	var on_gone := func(_id: int) -> void:
		server.close()
		results.append(server.create_server(net.port, "127.0.0.1") if recreate else OK)
	server.peer_disconnected.connect(on_gone)
	net.clients[0].close()
	net.clients[1].close()
	t.pump(net.all, func() -> bool: return net.clients[2].get_connection_status() == Harness.DISCONNECTED)
	var wanted := Harness.CONNECTED if recreate else Harness.DISCONNECTED
	t.equal(
		"close%s in a server's peer_disconnected comes once" % (" and create_server" if recreate else ""),
		[results, server.get_connection_status()],
		[[OK], wanted]
	)
	if recreate:
		var late := t.new_client()
		late.create_client(t.url(net.port))
		t.check(
			"a server recreated in peer_disconnected takes clients",
			t.pump([server, late], func() -> bool: return late.get_connection_status() == Harness.CONNECTED)
		)
		late.close()
	t.close_net(net)


func _close_in_client_peer_connected(recreate: bool) -> void:
	var net := t.connect_net(0)
	var client := t.new_client()
	var ids := []
	client.peer_connected.connect(
		func(_id: int) -> void:
			ids.append(client.get_unique_id())
			if ids.size() == 1:
				client.close()
				if recreate:
					client.create_client(t.url(net.port))
	)
	client.create_client(t.url(net.port))
	var wanted := Harness.CONNECTED if recreate else Harness.DISCONNECTED
	t.pump([net.server, client], func() -> bool: return not ids.is_empty())
	var reached := t.pump([net.server, client], func() -> bool: return client.get_connection_status() == wanted)
	t.equal(
		"close%s in a client's peer_connected" % (" and create_client" if recreate else ""),
		[reached, ids.size(), recreate == (client.get_unique_id() > 1)],
		[true, 2 if recreate else 1, true]
	)
	t.retire([client])
	t.close_net(net)


func _close_in_client_peer_disconnected(recreate: bool) -> void:
	var net := t.connect_net(1)
	var client: MultiplayerPeer = net.clients[0]
	var results := []
	client.peer_disconnected.connect(
		func(_id: int) -> void:
			client.close()
			results.append(client.create_client(t.url(net.port)) if recreate else OK)
	)
	net.server.disconnect_peer(net.ids[0])
	t.pump(net.all, func() -> bool: return not results.is_empty())
	var wanted := Harness.CONNECTED if recreate else Harness.DISCONNECTED
	var reached := t.pump(net.all, func() -> bool: return client.get_connection_status() == wanted)
	t.equal(
		"close%s in a client's peer_disconnected" % (" and create_client" if recreate else ""),
		[results, reached],
		[[OK], true]
	)
	t.close_net(net)


func _client_becomes_server_in_peer_disconnected() -> void:
	var net := t.connect_net(1)
	var turned: MultiplayerPeer = net.clients[0]
	var port := t.free_port()
	turned.peer_disconnected.connect(
		func(_id: int) -> void:
			turned.close()
			turned.create_server(port, "127.0.0.1"),
		CONNECT_ONE_SHOT
	)
	net.server.close()
	t.spin([turned])
	var guest := t.new_client()
	guest.create_client(t.url(port))
	var joined := t.pump([turned, guest], func() -> bool: return guest.get_connection_status() == Harness.CONNECTED)
	t.equal("a client becomes a server in peer_disconnected", [joined, turned.get_unique_id()], [true, 1])
	guest.close()
	t.close_net(net)
