extends SceneTree
## The limits on messages, slow readers and received packets, and what a poll does: defaults, what cannot be set, and
## each in action against a hostile client while a well-behaved one plays on.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

const CONTINUATION := 0
const MAX_INT := 9223372036854775807
const MAX_COUNT := 2147483647

## Property, default, another value, values that are refused, how the range is named.
const COUNTS := [
	["max_fragments", 131072, 1, [0, -1, MAX_COUNT + 1], "1 to 2147483647"],
	["inbound_packets_per_second", 0, 60, [-1, MAX_COUNT + 1], "0 to 2147483647"],
	["inbound_bytes_per_second", 0, 1 << 40, [-1], "0 to 9223372036854775807"],
	["overflow_policy", 0, 1, [-1, 2], "0 to 1"],
	["flush_threshold", 65536, 0, [-1, MAX_COUNT + 1], "0 to 2147483647"],
	["max_waiting_packets", 262144, 1, [0, -5, MAX_COUNT + 1], "1 to 2147483647"],
	["max_waiting_bytes", 268435456, MAX_INT, [0, -5], "1 to 9223372036854775807"],
	["poll_frame_limit", 65536, 1, [0, -1, MAX_COUNT + 1], "1 to 2147483647"],
	["poll_byte_limit", 67108864, MAX_INT, [0, -1], "1 to 9223372036854775807"],
]
const TIMES := [
	["poll_time_limit", 0.002, 0.0005, [0.0, -1.0, NAN, INF]],
	["poll_handshake_time_limit", 0.0015, 1.5, [0.0, -1.0, NAN, INF]],
]

var t := Harness.new()


func _initialize() -> void:
	t.begin(self, 30.0)
	if not t.ready():
		return
	_properties()
	_memory_limit_property()
	_fragments()
	_rates()
	_overflow_refuse()
	_overflow_disconnect()
	_stale_packets()
	_waiting_packets()
	_poll_limits()
	_flush_threshold()
	_memory_limit()
	t.finish()


func _properties() -> void:
	for row: Array in COUNTS:
		var peer := t.new_server()
		t.equal("%s: default" % row[0], peer.get(row[0]), row[1])
		peer.set(row[0], row[2])
		t.equal("%s: another value" % row[0], peer.get(row[0]), row[2])
		for bad: int in row[3]:
			t.expect_error("%s: %d is not in the range %s" % [row[0], bad, row[4]])
			peer.set(row[0], bad)
			t.equal("%s: %d is refused" % [row[0], bad], peer.get(row[0]), row[2])
	for row: Array in TIMES:
		var peer := t.new_server()
		t.equal("%s: default" % row[0], peer.get(row[0]), row[1])
		peer.set(row[0], row[2])
		t.equal("%s: another value" % row[0], peer.get(row[0]), row[2])
		t.expect_error("%s: a time limit must be above 0" % row[0])
		for bad: float in row[3]:
			peer.set(row[0], bad)
			t.equal("%s: %s is refused" % [row[0], bad], peer.get(row[0]), row[2])
	var peer := t.new_server()
	t.equal("drop_stale_packets: default", peer.drop_stale_packets, false)
	peer.drop_stale_packets = true
	t.equal("drop_stale_packets: another value", peer.drop_stale_packets, true)
	t.equal(
		"the overflow policies",
		[MioWebSocketMultiplayerPeer.OVERFLOW_REFUSE, MioWebSocketMultiplayerPeer.OVERFLOW_DISCONNECT],
		[0, 1]
	)


func _memory_limit_property() -> void:
	t.equal("the memory limit: default", MioWebSocketMultiplayerPeer.get_memory_limit(), 1 << 30)
	MioWebSocketMultiplayerPeer.set_memory_limit(1 << 20)
	t.equal("the memory limit: another value", MioWebSocketMultiplayerPeer.get_memory_limit(), 1 << 20)
	for bad: int in [0, -1]:
		t.expect_error("memory_limit: %d is not in the range 1 to 9223372036854775807" % bad)
		MioWebSocketMultiplayerPeer.set_memory_limit(bad)
		t.equal("the memory limit: %d is refused" % bad, MioWebSocketMultiplayerPeer.get_memory_limit(), 1 << 20)
	MioWebSocketMultiplayerPeer.set_memory_limit(1 << 30)
	t.equal("no queue holds anything yet", MioWebSocketMultiplayerPeer.get_memory_used(), 0)


func _fragments() -> void:
	var net := _net(func(server: MultiplayerPeer) -> void: server.max_fragments = 10)
	var events := t.record(net.server)
	var raw := Raw.join(net.port, net.all)
	_fragments_of(raw, 10)
	raw.send_frame(CONTINUATION, PackedByteArray([9]), true)
	t.equal("max_fragments: that many, the last of which is not the end, are too many", raw.read_close(net.all), 1008)
	t.check("max_fragments: the connection ends", raw.wait_closed(net.all))
	t.check("max_fragments: the peer has gone", _gone(net, events))
	var fine := Raw.join(net.port, net.all)
	_fragments_of(fine, 9)
	fine.send_frame(CONTINUATION, PackedByteArray([9]), true)
	var packets := _received(net, 1)
	t.equal("max_fragments: that many are a packet", packets, [PackedByteArray([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])])
	_plays_on("max_fragments", net)


func _rates() -> void:
	for bytes: bool in [false, true]:
		var name := "inbound_bytes_per_second" if bytes else "inbound_packets_per_second"
		var net := _net(func(server: MultiplayerPeer) -> void: server.set(name, 100))
		var events := t.record(net.server)
		var raw := Raw.join(net.port, net.all)
		for i in (2 if bytes else 150):
			raw.send_frame(Raw.BINARY, t.bytes(75 if bytes else 1))
		t.equal("%s: less arrives" % name, _received(net, 2 if bytes else 150).size(), 2 if bytes else 150)
		if bytes:
			raw.send_frame(Raw.BINARY, t.bytes(1000))
		else:
			for i in 1000:
				raw.send_frame(Raw.PONG)
		t.equal("%s: more ends the connection" % name, raw.read_close(net.all), 1008)
		t.check("%s: the peer has gone" % name, _gone(net, events))
		_plays_on(name, net)


func _overflow_refuse() -> void:
	var net := _net()
	var slow := Raw.join(net.port, net.all)
	var id := _newest(net)
	t.expect_error("does not fit into the outbound queue")
	t.equal("OVERFLOW_REFUSE: a packet without room is refused", _fill(net, id), ERR_OUT_OF_MEMORY)
	t.spin(net.all)
	t.check("OVERFLOW_REFUSE: the slow reader stays", net.server.get_peer(id) != null and slow.is_open())
	_plays_on("OVERFLOW_REFUSE", net)


func _overflow_disconnect() -> void:
	var net := _net(
		func(server: MultiplayerPeer) -> void: server.overflow_policy = MioWebSocketMultiplayerPeer.OVERFLOW_DISCONNECT
	)
	var events := t.record(net.server)
	var slow := Raw.join(net.port, net.all)
	var id := _newest(net)
	t.equal("OVERFLOW_DISCONNECT: a packet without room is not sent", _fill(net, id), FAILED)
	net.server.set_target_peer(0)
	t.equal("OVERFLOW_DISCONNECT: one to all is", net.server.put_packet(t.bytes(4)), OK)
	t.check("OVERFLOW_DISCONNECT: the peer has gone", _gone(net, events))
	t.check("OVERFLOW_DISCONNECT: its connection ends when it has read all", slow.wait_closed(net.all, 5000))
	var reason := "Reads too slowly".to_utf8_buffer()
	var close := Raw.frame(Raw.CLOSE, PackedByteArray([1013 >> 8, 1013 & 255]) + reason, false)
	t.equal("OVERFLOW_DISCONNECT: it is told", slow.inbox.slice(-close.size()), close)
	net.clients[0].poll()
	t.take(net.clients[0])
	_plays_on("OVERFLOW_DISCONNECT", net)


func _stale_packets() -> void:
	var net := _net(func(server: MultiplayerPeer) -> void: server.drop_stale_packets = true)
	var slow := t.new_client()
	t.add_client(net, slow)
	var id := slow.get_unique_id()
	var server: MultiplayerPeer = net.server
	var view: RefCounted = server.get_peer(id)
	server.set_target_peer(id)
	var reliable := 0
	while view.get_current_outbound_buffered_amount() == 0 and reliable < 100000:
		server.put_packet(t.numbered(reliable, 1000))
		reliable += 1
	var waiting: int = view.get_current_outbound_buffered_amount()
	var results := {}
	for i in 10:
		server.transfer_mode = MultiplayerPeer.TRANSFER_MODE_UNRELIABLE
		results[server.put_packet(t.numbered(1000000 + i))] = true
		server.transfer_mode = MultiplayerPeer.TRANSFER_MODE_UNRELIABLE_ORDERED
		for channel in [0, 2]:
			server.transfer_channel = channel
			results[server.put_packet(t.numbered(2000000 + 10 * channel + i))] = true
	server.transfer_channel = 0
	server.transfer_mode = MultiplayerPeer.TRANSFER_MODE_RELIABLE
	t.equal("drop_stale_packets: all are accepted", results, {OK: true})
	t.equal(
		"drop_stale_packets: what is held back is buffered", view.get_current_outbound_buffered_amount(), waiting + 8
	)
	server.put_packet(t.numbered(reliable, 1000))
	_plays_on("drop_stale_packets", net, [slow])
	var numbers := []
	var end := func() -> bool:
		numbers.append_array(t.take(slow).map(func(packet: PackedByteArray) -> int: return packet.decode_u32(0)))
		return numbers.size() >= reliable + 3
	t.pump(net.all, end)
	t.spin(net.all, 20)
	end.call()
	var wanted := range(reliable + 1) + [2000009, 2000029]
	t.check(
		"drop_stale_packets: reliable ones and the newest of each channel arrive",
		numbers == wanted,
		"%d of %d, the last are %s" % [numbers.size(), wanted.size(), numbers.slice(-4)]
	)
	server.set_target_peer(id)
	server.transfer_mode = MultiplayerPeer.TRANSFER_MODE_UNRELIABLE
	server.put_packet(t.bytes(4))
	t.check("drop_stale_packets: they are sent again", t.pump(net.all, slow.get_available_packet_count))
	t.close_net(net)


func _waiting_packets() -> void:
	var net := _net(
		func(server: MultiplayerPeer) -> void:
			server.max_waiting_packets = 10
			server.max_waiting_bytes = 1000000
	)
	var raw := Raw.join(net.port, net.all)
	for i in 100:
		raw.send_frame(Raw.BINARY, t.numbered(i))
	t.spin(net.all)
	t.equal("max_waiting_packets: no more wait", net.server.get_available_packet_count(), 10)
	var numbers := _received(net, 100).map(func(packet: PackedByteArray) -> int: return packet.decode_u32(0))
	t.check("max_waiting_packets: none is lost", numbers == range(100), numbers)
	net.server.max_waiting_packets = 1000
	net.server.max_waiting_bytes = 1000
	for i in 100:
		raw.send_frame(Raw.BINARY, t.bytes(5000))
		t.spin(net.all, 1)
	var count: int = net.server.get_available_packet_count()
	t.check("max_waiting_bytes: no more wait, but for one read", count >= 1 and count <= 14, count)
	t.equal("max_waiting_bytes: none is lost", _received(net, 100).size(), 100)
	_plays_on("max_waiting_packets", net)


func _poll_limits() -> void:
	var net := _net(func(server: MultiplayerPeer) -> void: server.poll_frame_limit = 10)
	var raw := Raw.join(net.port, net.all)
	for i in 100:
		raw.send_frame(Raw.BINARY, t.numbered(i))
	t.settle()
	var counts := []
	for i in 20:
		net.server.poll()
		counts.append(t.take(net.server).size())
	t.equal("poll_frame_limit: a poll takes no more", counts.max(), 10)
	t.equal("poll_frame_limit: the next ones take the rest", counts.reduce(func(a: int, b: int) -> int: return a + b), 100)
	net.server.poll_byte_limit = 1
	net.server.poll_time_limit = 0.000001
	net.server.poll_handshake_time_limit = 0.000001
	var another := Raw.join(net.port, net.all)
	another.send_frame(Raw.BINARY, t.bytes(10))
	t.equal("the least that a poll can do is enough to join and play", _received(net, 1), [t.bytes(10)])
	_plays_on("poll limits", net)


func _flush_threshold() -> void:
	# Once per frame, which this loop never is: then bytes wait only for replies to packets not taken yet.
	var net := _net(func(server: MultiplayerPeer) -> void: server.flush_threshold = 0)
	var raw := Raw.join(net.port, net.all)
	raw.send_frame(Raw.BINARY, t.bytes(1))
	raw.send_frame(Raw.BINARY, t.bytes(2))
	t.pump(net.all, func() -> bool: return net.server.get_available_packet_count() == 2)
	net.server.set_target_peer(net.server.get_packet_peer())
	net.server.get_packet()
	net.server.put_packet(t.bytes(10))
	t.equal("flush_threshold: at 0 nothing waits", raw.read_frame([]).get("payload"), t.bytes(10))
	t.take(net.server)
	_plays_on("flush_threshold", net)


func _memory_limit() -> void:
	var net := _net(func(server: MultiplayerPeer) -> void: server.outbound_buffer_size = 0)
	var slow := Raw.join(net.port, net.all)
	MioWebSocketMultiplayerPeer.set_memory_limit(1 << 20)
	t.expect_error("the memory limit is 1048576 bytes")
	t.equal("the memory limit: a packet over it is refused", _fill(net, _newest(net), 20000), ERR_OUT_OF_MEMORY)
	var used := MioWebSocketMultiplayerPeer.get_memory_used()
	t.check("the memory limit: it holds", used > 1000000 and used <= 1 << 20, used)
	net.server.set_target_peer(net.ids[0])
	t.equal("the memory limit: nobody gets a large packet", net.server.put_packet(t.bytes(20000)), ERR_OUT_OF_MEMORY)
	t.check("the memory limit: small ones come and go", t.talks(net))
	var goes_on := func() -> bool: return MioWebSocketMultiplayerPeer.get_memory_used() == 0
	t.check("the memory limit: when the slow reader has read it is free again", slow.wait(net.all, goes_on, 5000))
	t.equal("the memory limit: then large packets go again", net.server.put_packet(t.bytes(20000)), OK)
	t.pump(net.all, net.clients[0].get_available_packet_count)
	t.take(net.clients[0])
	_plays_on("the memory limit", net)
	MioWebSocketMultiplayerPeer.set_memory_limit(1 << 30)


## A server set up by `setup`, and a well-behaved client.
func _net(setup := Callable()) -> Dictionary:
	var configure := func(peer: MultiplayerPeer, is_server: bool) -> void:
		if is_server and setup.is_valid():
			setup.call(peer)
	var net := t.connect_net(1, configure)
	# Signals tell of raw clients, whose ids nobody else knows.
	net.joined = []
	net.server.peer_connected.connect(func(id: int) -> void: net.joined.append(id))
	return net


## The id of the raw client that came last.
func _newest(net: Dictionary) -> int:
	return net.joined[-1]


func _plays_on(name: String, net: Dictionary, resting := []) -> void:
	t.check("%s: a well-behaved client plays on" % name, t.talks(net))
	if resting.is_empty():
		t.close_net(net)


func _gone(net: Dictionary, events: Array[String]) -> bool:
	return t.pump(net.all, func() -> bool: return "-%d" % _newest(net) in events)


## A packet of `count` fragments so far.
func _fragments_of(raw: Raw, count: int) -> void:
	for i in count:
		raw.send_frame(Raw.BINARY if i == 0 else CONTINUATION, PackedByteArray([i]), false)


## The server's packets, from `count` on.
func _received(net: Dictionary, count: int) -> Array:
	var packets := []
	var take := func() -> bool:
		packets.append_array(t.take(net.server))
		return packets.size() >= count
	t.pump(net.all, take)
	return packets


## Sends to a peer that does not read until that fails; how.
func _fill(net: Dictionary, id: int, size := 4000) -> Error:
	net.server.set_target_peer(id)
	for i in 20000:
		var error: Error = net.server.put_packet(t.numbered(i, size))
		if error != OK:
			return error
	return OK
