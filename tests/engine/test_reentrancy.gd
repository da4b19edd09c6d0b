extends SceneTree
## Handlers of a peer's signals may call anything on that peer; the signals come from inside poll().

const Harness := preload("res://support/harness.gd")

var t := Harness.new()


## Calls back when nobody keeps it any more.
class Farewell:
	extends RefCounted

	var act: Callable

	func _notification(what: int) -> void:
		if what == NOTIFICATION_PREDELETE:
			act.call()



func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	_send_in_peer_connected()
	_read_in_peer_disconnected()
	for force: bool in [false, true]:
		_disconnect_in_peer_connected(force)
		_disconnect_others_in_peer_disconnected(force)
	_nested_poll()
	_drop_in_handler()
	_ask_when_a_view_goes()
	t.finish()


func _send_in_peer_connected() -> void:
	var server := t.new_server()
	var client := t.new_client()
	var seen := []
	server.peer_connected.connect(
		func(id: int) -> void:
			server.set_target_peer(id)
			var peer: Object = server.get_peer(id)
			seen.append([server.put_packet(PackedByteArray([1])), peer != null and peer.get_ready_state() == 1])
	)
	client.peer_connected.connect(
		func(id: int) -> void:
			var peer: Object = client.get_peer(id)
			seen.append([client.put_packet(PackedByteArray([2])), peer != null and peer.get_ready_state() == 1])
	)
	var port := t.free_port()
	server.create_server(port, "127.0.0.1")
	client.create_client(t.url(port))
	var both := func() -> bool:
		return client.get_available_packet_count() > 0 and server.get_available_packet_count() > 0
	t.pump([server, client], both)
	t.equal(
		"a packet put in peer_connected arrives, and get_peer works there",
		[seen, t.take(client), t.take(server)],
		[[[OK, true], [OK, true]], [PackedByteArray([1])], [PackedByteArray([2])]]
	)
	t.retire([server, client])


func _read_in_peer_disconnected() -> void:
	var net := t.connect_net(2)
	var server: MultiplayerPeer = net.server
	var seen := []
	server.peer_disconnected.connect(
		func(id: int) -> void:
			seen.append(
				[id == net.ids[0], server.get_peer(id) != null, server.get_packet_peer() == net.ids[1], t.take(server)]
			)
			server.set_target_peer(net.ids[1])
			server.put_packet(PackedByteArray([4]))
	)
	net.clients[1].put_packet(PackedByteArray([5]))
	net.clients[1].poll()
	net.clients[0].close()
	t.pump([server], func() -> bool: return not seen.is_empty())
	t.equal(
		"a server's peer_disconnected can read what others sent", seen, [[true, true, true, [PackedByteArray([5])]]]
	)

	var client: MultiplayerPeer = net.clients[1]
	t.pump([server, client], func() -> bool: return client.get_available_packet_count() > 0, 1000)
	t.equal("and send to others", t.take(client), [PackedByteArray([4])] as Array[PackedByteArray])

	var seen_by_client := []
	client.peer_disconnected.connect(
		func(_id: int) -> void:
			seen_by_client.append(
				[
					client.get_connection_status(),
					client.get_unique_id() == net.ids[1],
					client.get_peer(1) != null,
					t.take(client)
				]
			)
	)
	server.set_target_peer(net.ids[1])
	server.put_packet(PackedByteArray([6]))
	t.pump([server, client], func() -> bool: return client.get_available_packet_count() > 0)
	server.close()
	t.pump([client], func() -> bool: return not seen_by_client.is_empty())
	t.equal(
		"a client's peer_disconnected still has its id, its peer and its packets",
		seen_by_client,
		[[Harness.CONNECTED, true, true, [PackedByteArray([6])]]]
	)
	t.close_net(net)


func _disconnect_in_peer_connected(force: bool) -> void:
	var server := t.new_server()
	var client := t.new_client()
	var gone := []
	server.peer_connected.connect(func(id: int) -> void: server.disconnect_peer(id, force))
	server.peer_disconnected.connect(func(id: int) -> void: gone.append(id))
	var port := t.free_port()
	server.create_server(port, "127.0.0.1")
	client.create_client(t.url(port))
	var client_left := t.pump(
		[server, client], func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED
	)
	t.spin([server])
	t.equal(
		"disconnect_peer(id, %s) in peer_connected" % force,
		[client_left, server.get_connection_status(), gone.size()],
		[true, Harness.CONNECTED, 0 if force else 1]
	)
	t.retire([server, client])


func _disconnect_others_in_peer_disconnected(force: bool) -> void:
	var net := t.connect_net(4)
	var server: MultiplayerPeer = net.server
	var gone := []
	server.peer_disconnected.connect(
		func(id: int) -> void:
			gone.append(id)
			for other: int in net.ids:
				if not gone.has(other) and server.get_peer(other) != null:
					server.disconnect_peer(other, force)
	)
	net.clients[2].close()
	var nobody := func() -> bool:
		return net.clients.all(
			func(client: MultiplayerPeer) -> bool: return client.get_connection_status() == Harness.DISCONNECTED
		)
	var all_left := t.pump(net.all, nobody)
	t.spin([server])
	gone.sort()
	net.ids.sort()
	t.equal(
		"disconnect_peer(others, %s) in peer_disconnected" % force,
		[all_left, gone == ([net.ids[net.ids.find(gone[0])]] if force else net.ids)],
		[true, true]
	)
	t.close_net(net)


func _nested_poll() -> void:
	var server := t.new_server()
	var client := t.new_client()
	var depth := [0]
	for peer: MultiplayerPeer in [server, client]:
		var again := func(_id: int) -> void:
			# Bounded, so that an endless repetition shows as events and not as a stack overflow.
			depth[0] += 1
			if depth[0] < 5:
				peer.poll()
			depth[0] -= 1
		peer.peer_connected.connect(again)
		peer.peer_disconnected.connect(again)
	var server_events := t.record(server)
	var client_events := t.record(client)
	var port := t.free_port()
	server.create_server(port, "127.0.0.1")
	client.create_client(t.url(port))
	t.pump([server, client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	var id := client.get_unique_id()
	server.disconnect_peer(id)
	t.pump(
		[server, client],
		func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED and server_events.size() == 2
	)
	t.equal(
		"a poll inside each handler changes nothing",
		[server_events, client_events],
		[["+%d" % id, "-%d" % id] as Array[String], ["+1", "-1"] as Array[String]]
	)
	t.retire([server, client])


func _drop_in_handler() -> void:
	for event: StringName in [&"peer_connected", &"peer_disconnected"]:
		for side: String in ["server", "client"]:
			var net := t.connect_net(2)
			var box := {"peer": net.server if side == "server" else net.clients[0]}
			net.all.erase(box.peer)
			var others: Array = net.all
			if side == "server":
				others.append(t.new_client())
				others[-1].create_client(t.url(net.port))
			elif event == &"peer_connected":
				box.peer.close()
				box.peer.create_client(t.url(net.port))
			net.erase("server")
			net.erase("clients")
			box.peer.connect(event, func(_id: int) -> void: box.peer = null)
			if event == &"peer_disconnected":
				if side == "server":
					others[0].close()
				else:
					others[0].disconnect_peer(net.ids[0])
			var end := Time.get_ticks_msec() + 2000
			while box.peer != null and Time.get_ticks_msec() < end:
				box.peer.poll()
				for other: MultiplayerPeer in others:
					other.poll()
			t.check(
				"the last reference may go in a %s's %s" % [side, event], box.peer == null, "the handler was not called"
			)
			t.retire(others)


## A script may have hung something on the view of a connection that calls back when it goes.
func _ask_when_a_view_goes() -> void:
	for way: String in ["leaving", "disconnect_peer", "force", "close"]:
		var net := t.connect_net(2)
		var server: MultiplayerPeer = net.server
		var id: int = net.ids[0]
		var asked := []
		var farewell := Farewell.new()
		farewell.act = func() -> void: asked.append(server.get_peer_ids().size())
		server.get_peer(id).set_meta("farewell", farewell)
		farewell = null
		match way:
			"leaving":
				net.clients[0].close()
			"close":
				server.close()
			_:
				server.disconnect_peer(id, way == "force")
		t.pump(net.all, func() -> bool: return not asked.is_empty())
		t.equal("the peer is asked when a view goes by %s" % way, asked, [0 if way == "close" else 1])
		t.close_net(net)
