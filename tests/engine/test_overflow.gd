extends SceneTree
## A reader that does not read: put_packet says which packets it took, and exactly those arrive.

const Harness := preload("res://support/harness.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

const COUNT := 3000
const SIZE := 4000

var t := Harness.new()


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	t.expect_error("does not fit")
	t.expect_error("more errors were not shown")
	var counter := ErrorCounter.start()
	_slow_reader(true)
	counter.stop()
	t.check("the log is not flooded", counter.count > 0 and counter.count <= 20, "%d lines" % counter.count)
	_slow_reader(false)
	_broadcast()
	_too_big()
	t.finish()


func _slow_reader(server_sends: bool) -> void:
	var net := t.connect_net(1)
	var sender: MultiplayerPeer = net.server if server_sends else net.clients[0]
	var reader: MultiplayerPeer = net.clients[0] if server_sends else net.server
	var name := "a %s's packets to a reader that does not read" % ("server" if server_sends else "client")
	if server_sends:
		sender.set_target_peer(net.ids[0])
	var taken := []
	var results := {}
	for i in COUNT:
		var error := sender.put_packet(t.numbered(i, SIZE))
		results[error] = results.get(error, 0) + 1
		if error == OK:
			taken.append(i)
		# Frames pass for the sender.
		if i % 50 == 0:
			sender.poll()
	var codes := results.keys()
	codes.sort()
	t.equal("%s: some are taken, the others refused" % name, codes, [OK, ERR_OUT_OF_MEMORY])
	var arrived := []
	t.pump(
		[sender, reader],
		func() -> bool:
			for packet in t.take(reader):
				arrived.append(packet.decode_u32(0) if packet.size() == SIZE else -1)
			return arrived.size() >= taken.size()
	)
	# Nothing comes behind them.
	t.spin([sender, reader], 30)
	t.check(
		"%s: those taken arrive in order" % name,
		arrived == taken and t.take(reader).is_empty(),
		"%d taken, %d arrived" % [taken.size(), arrived.size()]
	)
	t.check("%s: both play on" % name, t.talks(net))
	if server_sends:
		# Of a flood only the first lines are printed; the next line after a while says how many were not.
		t.settle(1100)
		sender.put_packet(t.bytes(65536))
	t.close_net(net)


## One of two does not read: the other gets everything, and the result tells that somebody did not.
func _broadcast() -> void:
	var net := t.connect_net(2)
	var reader: MultiplayerPeer = net.clients[0]
	net.server.set_target_peer(0)
	var got := []
	var results := {}
	for i in COUNT:
		results[net.server.put_packet(t.numbered(i, SIZE))] = true
		if i % 5 == 0:
			t.pump([net.server, reader], func() -> bool: return true)
			got.append_array(t.take(reader).map(func(packet: PackedByteArray) -> int: return packet.decode_u32(0)))
	t.pump(
		[net.server, reader],
		func() -> bool:
			got.append_array(t.take(reader).map(func(packet: PackedByteArray) -> int: return packet.decode_u32(0)))
			return got.size() == COUNT,
		1500
	)
	t.check("a broadcast reaches those who have room", got == range(COUNT), "%d of %d" % [got.size(), COUNT])
	t.check("and says that somebody had none", results.has(ERR_OUT_OF_MEMORY) and results.size() == 2, results.keys())
	t.close_net(net)


func _too_big() -> void:
	var net := t.connect_net(1)
	net.server.set_target_peer(net.ids[0])
	var results := [
		net.server.put_packet(t.bytes(65536)),
		net.server.put_packet(t.bytes(65535)),
		net.clients[0].put_packet(t.bytes(65536)),
		net.clients[0].put_packet(t.bytes(65535))
	]
	t.equal(
		"a packet over outbound_buffer_size is refused, one of that size is not",
		results,
		[ERR_OUT_OF_MEMORY, OK, ERR_OUT_OF_MEMORY, OK]
	)
	var both := func() -> bool:
		return net.server.get_available_packet_count() > 0 and net.clients[0].get_available_packet_count() > 0
	t.pump(net.all, both)
	t.check("the one of that size arrives, both ways", t.take(net.server) == t.take(net.clients[0]))
	t.close_net(net)
