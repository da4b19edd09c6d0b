extends SceneTree
## Who gets a packet, and what a packet says about its sender, its mode and its channel.

const Harness := preload("res://support/harness.gd")
const Session := preload("res://support/session.gd")
const Branch := preload("res://support/branch.gd")

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self)
	if not t.ready():
		return
	t.expect_error("no peer with the id")
	t.expect_error("the peer is not connected")
	t.expect_error("no packet is waiting")
	_ids()
	_server_targets()
	_client_targets()
	_settings()
	_queue()
	_not_connected()
	_through_the_api()
	t.finish()


func _ids() -> void:
	# The engine's class has no such list.
	if t.peer_class == Harness.BUILT_IN:
		return
	var idle := t.new_server()
	t.equal("no ids without a session", idle.call(&"get_peer_ids"), PackedInt32Array())
	var net := t.connect_net(3)
	t.equal("a server's ids, in the order of connection", net.server.call(&"get_peer_ids"), PackedInt32Array(net.ids))
	t.equal("a client's", net.clients[0].call(&"get_peer_ids"), PackedInt32Array([1]))
	net.server.disconnect_peer(net.ids[1], true)
	t.equal("one has gone", net.server.call(&"get_peer_ids"), PackedInt32Array([net.ids[0], net.ids[2]]))
	# Which a player may have sent.
	for id: int in [5_000_000_000, -5_000_000_000, net.ids[0] + (1 << 32), net.ids[0] - (1 << 32), 9223372036854775807]:
		t.check("get_peer(%d)" % id, net.server.get_peer(id) == null)
		t.equal("get_peer_address", net.server.get_peer_address(id), "")
		t.equal("get_peer_port", net.server.get_peer_port(id), 0)
		for method: StringName in [&"get_peer_stats", &"get_peer_rtt", &"get_peer_jitter", &"get_peer_request"]:
			t.check("%s of nobody" % method, net.server.call(method, id) in [{}, -1.0, null])
		t.equal("close_peer", net.server.call(&"close_peer", id), ERR_INVALID_PARAMETER)
	t.check("the others are still there", t.talks(net, 0) and t.talks(net, 2))
	t.close_net(net)
	t.equal("none after the end", net.server.call(&"get_peer_ids"), PackedInt32Array())


func _server_targets() -> void:
	var net := t.connect_net(3)
	var ids: Array = net.ids
	var rows := {
		"nobody named": [null, OK, [true, true, true]],
		"0": [0, OK, [true, true, true]],
		"the first": [ids[0], OK, [true, false, false]],
		"the last": [ids[2], OK, [false, false, true]],
		"all but the second": [-ids[1], OK, [true, false, true]],
		"all but somebody unknown": [-99, OK, [true, true, true]],
		"all but the server": [-1, OK, [true, true, true]],
		"the smallest int": [-2147483648, OK, [true, true, true]],
		"the server itself": [1, ERR_INVALID_PARAMETER, [false, false, false]],
		"somebody unknown": [99, ERR_INVALID_PARAMETER, [false, false, false]],
	}
	var number := 0
	for name: String in rows:
		number += 1
		if rows[name][0] != null:
			net.server.set_target_peer(rows[name][0])
		var packet := t.numbered(number)
		var error: Error = net.server.put_packet(packet)
		t.spin(net.all, 10)
		var got: Array = net.clients.map(
			func(client: MultiplayerPeer) -> bool: return t.take(client) == ([packet] as Array[PackedByteArray])
		)
		t.equal("a server's packet to %s: error, who gets it" % name, [error, got], rows[name].slice(1))
	t.close_net(net)


## A client has one way only, whatever the target.
func _client_targets() -> void:
	var net := t.connect_net(2)
	var client: MultiplayerPeer = net.clients[0]
	var results := []
	var targets := [0, 1, net.ids[1], net.ids[0], -1, -net.ids[1], 99]
	for target: int in targets:
		client.set_target_peer(target)
		results.append(client.put_packet(t.numbered(results.size())))
	t.spin(net.all, 20)
	var senders := []
	var numbers := []
	while net.server.get_available_packet_count() > 0:
		senders.append(net.server.get_packet_peer() == net.ids[0])
		numbers.append(net.server.get_packet().decode_u32(0))
	t.equal(
		"a client's packets go to the server, whatever the target",
		[results.count(OK), numbers, senders.count(true), net.clients[1].get_available_packet_count()],
		[7, range(7), 7, 0]
	)
	t.close_net(net)


## Settings are kept, survive a close, and do not change what arrives.
func _settings() -> void:
	var net := t.connect_net(1)
	var client: MultiplayerPeer = net.clients[0]
	t.equal(
		"mode and channel at first",
		[client.transfer_mode, client.transfer_channel, client.refuse_new_connections],
		[MultiplayerPeer.TRANSFER_MODE_RELIABLE, 0, false]
	)
	var seen := []
	for mode: int in [
		MultiplayerPeer.TRANSFER_MODE_UNRELIABLE,
		MultiplayerPeer.TRANSFER_MODE_UNRELIABLE_ORDERED,
		MultiplayerPeer.TRANSFER_MODE_RELIABLE
	]:
		for channel: int in [0, 5, 256, -1]:
			client.transfer_mode = mode
			client.transfer_channel = channel
			client.put_packet(t.bytes(3))
			t.pump(net.all, func() -> bool: return net.server.get_available_packet_count() > 0)
			seen.append(
				(
					client.transfer_mode == mode
					and client.transfer_channel == channel
					and net.server.get_packet_mode() == MultiplayerPeer.TRANSFER_MODE_RELIABLE
					and net.server.get_packet_channel() == 0
				)
			)
			t.take(net.server)
	t.equal("mode and channel are kept; packets arrive as reliable on channel 0", seen.count(true), 12)
	net.server.set_target_peer(4242)
	net.server.transfer_channel = 3
	net.server.close()
	net.server.create_server(net.port, "127.0.0.1")
	t.equal(
		"target and channel survive a close",
		[net.server.put_packet(t.bytes(1)), net.server.transfer_channel],
		[ERR_INVALID_PARAMETER, 3]
	)
	net.server.set_target_peer(0)
	t.equal("a broadcast to nobody", net.server.put_packet(t.bytes(1)), OK)
	t.close_net(net)


func _queue() -> void:
	var net := t.connect_net(2)
	for i in 3:
		net.clients[0].put_packet(t.numbered(i))
		net.clients[1].put_packet(t.numbered(10 + i))
	t.pump([net.server], func() -> bool: return net.server.get_available_packet_count() == 6)
	var rows := []
	while net.server.get_available_packet_count() > 0:
		# The packet that comes next, before it is taken.
		var index: int = net.ids.find(net.server.get_packet_peer())
		rows.append([index, net.server.get_packet().decode_u32(0)])
	t.equal(
		"each packet's sender is told before it is taken; senders in order of connection",
		rows,
		[[0, 0], [0, 1], [0, 2], [1, 10], [1, 11], [1, 12]]
	)
	t.equal(
		"an empty queue",
		[net.server.get_packet(), net.server.get_packet_error(), net.server.get_packet_peer()],
		[PackedByteArray(), ERR_UNAVAILABLE, 1]
	)
	net.clients[0].put_var({"a": [1, 2.5, "x"]})
	t.pump([net.server], func() -> bool: return net.server.get_available_packet_count() == 1)
	t.equal("put_var and get_var", net.server.get_var(), {"a": [1, 2.5, "x"]})
	t.close_net(net)


func _not_connected() -> void:
	for peer: MultiplayerPeer in [t.new_server(), t.new_client()]:
		var results := [
			peer.put_packet(t.bytes(1)),
			peer.put_packet(PackedByteArray()),
			peer.get_packet(),
			peer.get_packet_error(),
			peer.get_packet_peer(),
			peer.get_packet_channel(),
			peer.get_packet_mode(),
			peer.get_available_packet_count(),
			peer.get_unique_id()
		]
		t.equal(
			"a peer that is not connected",
			results,
			[ERR_UNCONFIGURED, OK, PackedByteArray(), ERR_UNCONFIGURED, 1, 0, 2, 0, 0]
		)
	var server := t.new_server()
	t.equal(
		"is_server_relay_supported, ids",
		[server.is_server_relay_supported(), server.generate_unique_id() > 1],
		[true, true]
	)


## The API sets target, mode and channel before each packet; raw bytes show who they come from.
func _through_the_api() -> void:
	var session: Session = Session.open(t, self, 3)
	var got := {}
	for branch: Branch in session.all:
		var list := []
		got[branch] = list
		branch.api.peer_packet.connect(func(id: int, packet: PackedByteArray) -> void: list.append([id, packet[0]]))
	var clients := session.clients
	var server := session.server
	var errors := []
	for mode: int in [0, 1, 2]:
		errors.append(server.api.send_bytes(PackedByteArray([1]), 0, mode, mode))
		errors.append(server.api.send_bytes(PackedByteArray([2]), clients[0].id(), mode))
		errors.append(server.api.send_bytes(PackedByteArray([3]), -clients[0].id(), mode))
		session.spin(10)
		errors.append(clients[0].api.send_bytes(PackedByteArray([4]), 1, mode))
		errors.append(clients[0].api.send_bytes(PackedByteArray([5]), clients[1].id(), mode))
		errors.append(clients[0].api.send_bytes(PackedByteArray([6]), 0, mode, 4))
		errors.append(clients[0].api.send_bytes(PackedByteArray([7]), -clients[1].id(), mode))
		session.spin(10)
	var first := clients[0].id()
	var once := [
		[[first, 4], [first, 6], [first, 7]],
		[[1, 1], [1, 2]],
		[[1, 1], [1, 3], [first, 5], [first, 6]],
		[[1, 1], [1, 3], [first, 6], [first, 7]],
	]
	t.equal("send_bytes in all modes: errors", errors.count(OK), 21)
	t.equal(
		"send_bytes in all modes: who gets what from whom",
		session.all.map(func(branch: Branch) -> Array: return got[branch]),
		once.map(func(list: Array) -> Array: return list + list + list)
	)
	session.close()
