extends SceneTree
## When bytes leave: a reply goes within the frame, calls of one frame arrive in the next, nothing waits for a poll
## that does not come.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")
const Branch := preload("res://support/branch.gd")

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self, 18.0)
	if not t.ready():
		return
	for server_first: bool in [true, false]:
		var ours := await _round_trips(t.server_class, t.client_class, server_first)
		var built_in := await _round_trips(Harness.BUILT_IN, Harness.BUILT_IN, server_first)
		t.equal(
			"frames of a round trip, server polled %s the client" % ("before" if server_first else "after"),
			ours,
			built_in
		)
	await _calls_of_one_frame()
	await _put_in_a_frame()
	_put_without_own_poll()
	_reply_in_a_drain()
	_poll_sends()
	await _flushed()
	await _drop_after_put()
	t.finish()


## Frames from a call to its answer, five times; the answer is made inside the server's poll.
func _round_trips(server_class: String, client_class: String, server_first: bool) -> Array:
	var port := t.free_port()
	var server_peer: MultiplayerPeer = ClassDB.instantiate(server_class)
	var client_peer: MultiplayerPeer = ClassDB.instantiate(client_class)
	server_peer.create_server(port, "127.0.0.1")
	client_peer.create_client(t.url(port))
	var server: Branch = Branch.create(self, "Server", server_peer)
	var client: Branch = Branch.create(self, "Client", client_peer)
	var pollers := [server, client] if server_first else [client, server]
	var poll := func() -> void:
		for each: Branch in pollers:
			each.poll()
	# Stands for the tree's own polling, which happens at the same moment of the frame.
	process_frame.connect(poll)
	for i in 120:
		if client.api.get_peers().size() == 1:
			break
		await process_frame
	server.api.peer_packet.connect(func(id: int, packet: PackedByteArray) -> void: server.api.send_bytes(packet, id))
	var answered := [-1]
	client.api.peer_packet.connect(
		func(_id: int, _packet: PackedByteArray) -> void: answered[0] = Engine.get_process_frames()
	)
	var frames := []
	for i in 5:
		answered[0] = -1
		var start := Engine.get_process_frames()
		client.api.send_bytes(PackedByteArray([i]), 1)
		for n in 10:
			await process_frame
			if answered[0] >= 0:
				break
		frames.append(answered[0] - start)
	process_frame.disconnect(poll)
	for each: Branch in pollers:
		for connection in each.api.peer_packet.get_connections():
			each.api.peer_packet.disconnect(connection.callable)
		each.retire()
	return frames


func _calls_of_one_frame() -> void:
	var port := t.free_port()
	var server_peer := t.new_server()
	var client_peer := t.new_client()
	server_peer.create_server(port, "127.0.0.1")
	client_peer.create_client(t.url(port))
	var server: Branch = Branch.create(self, "Server", server_peer)
	var client: Branch = Branch.create(self, "Client", client_peer)
	t.pump([server, client], func() -> bool: return client.api.get_peers().size() == 1)
	server.actor.reliable.rpc_id(client.id(), -1)
	t.pump([server, client], func() -> bool: return client.actor.calls.size() == 1)
	client.actor.calls.clear()
	await process_frame
	for i in 200:
		match i % 3:
			0:
				server.actor.reliable.rpc_id(client.id(), i)
			1:
				server.actor.unreliable.rpc_id(client.id(), i)
			2:
				server.actor.ordered.rpc_id(client.id(), i)
	await process_frame
	t.settle(30)
	client.poll()
	var got := client.actor.calls.map(func(call: Array) -> int: return call[2])
	t.check("200 calls of one frame arrive in order in the next", got == range(200), "%d arrived" % got.size())
	server.retire()
	client.retire()


## Sent in a frame by a peer that nobody polls any more: it leaves with the frame.
func _put_in_a_frame() -> void:
	var net := t.connect_net(0)
	var raw := Raw.join(net.port, [net.server])
	await process_frame
	net.server.put_packet(t.bytes(50))
	await process_frame
	t.settle(30)
	raw.poll()
	t.equal("a packet put in a frame has left by the next", raw.next_frame().get("payload"), t.bytes(50))
	t.close_net(net)


## Tools and tests poll in a loop of their own: the receiver sees what was put before the sender is polled.
func _put_without_own_poll() -> void:
	var net := t.connect_net(1)
	var client: MultiplayerPeer = net.clients[0]
	for i in 5:
		client.put_packet(t.numbered(i))
	t.settle()
	net.server.poll()
	var to_server := t.take(net.server)
	net.server.set_target_peer(net.ids[0])
	for i in 5:
		net.server.put_packet(t.numbered(i))
	t.settle()
	client.poll()
	var wanted: Array[PackedByteArray] = []
	for i in 5:
		wanted.append(t.numbered(i))
	t.equal("packets put are there for the other side's poll", [to_server, t.take(client)], [wanted, wanted])
	t.close_net(net)


## The reply made while the queue is emptied leaves when it is empty.
func _reply_in_a_drain() -> void:
	var net := t.connect_net(0)
	var raw := Raw.join(net.port, [net.server])
	raw.send(raw.make(Raw.BINARY, t.bytes(10)) + raw.make(Raw.BINARY, t.bytes(11)))
	t.settle()
	net.server.poll()
	while net.server.get_available_packet_count() > 0:
		net.server.put_packet(net.server.get_packet())
	t.settle()
	raw.poll()
	t.equal(
		"replies leave when the queue is empty",
		[raw.next_frame().get("payload"), raw.next_frame().get("payload")],
		[t.bytes(10), t.bytes(11)]
	)
	t.close_net(net)


func _poll_sends() -> void:
	var net := t.connect_net(0)
	var raw := Raw.join(net.port, [net.server])
	net.server.put_packet(t.bytes(20))
	net.server.poll()
	# Nothing runs from here on but the kernel.
	t.settle()
	raw.poll()
	t.equal("a poll after put_packet sends before the game blocks", raw.next_frame().get("payload"), t.bytes(20))
	t.close_net(net)


## Before something that takes long; the engine's class writes in put_packet.
func _flushed() -> void:
	if t.server_class == Harness.BUILT_IN:
		return
	var net := t.connect_net(0)
	var raw := Raw.join(net.port, [net.server])
	for i in 3:
		await process_frame
		net.server.poll()
	net.server.put_packet(t.bytes(40))
	t.settle()
	raw.poll()
	t.equal("a packet of a peer that is polled once a frame waits for the end of it", raw.next_frame(), {})
	net.server.call(&"flush")
	t.settle()
	raw.poll()
	t.equal("unless it is flushed", raw.next_frame().get("payload"), t.bytes(40))
	t.close_net(net)
	t.new_server().call(&"flush")


## The last reference goes in the frame of the last packet.
func _drop_after_put() -> void:
	var net := t.connect_net(1)
	await process_frame
	net.clients[0].put_packet(t.bytes(30))
	net.all.erase(net.clients[0])
	net.clients.clear()
	await process_frame
	t.pump([net.server], func() -> bool: return net.server.get_available_packet_count() > 0, 500)
	t.equal(
		"a packet put before the last reference went arrives",
		t.take(net.server),
		[t.bytes(30)] as Array[PackedByteArray]
	)
	t.close_net(net)
