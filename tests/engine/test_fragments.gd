extends SceneTree
## Messages that come in fragments: put together, kept within the limit, and not mixed with what comes between.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

const LIMIT := 1000

var t := Harness.new()


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	_put_together()
	_ping_between()
	_over_the_limit([600, 600])
	_over_the_limit([1000, 1])
	_over_the_limit([300, 300, 300, 101])
	_over_the_limit([999, 1, 1])
	_sender_goes_over_the_limit()
	_endless_small_fragments()
	_towards_a_client()
	t.finish()


func _limited(count := 1) -> Dictionary:
	return t.connect_net(count, func(peer: Object, _is_server: bool) -> void: peer.inbound_buffer_size = LIMIT)


## `data` cut into fragments of these sizes.
func _fragments(raw: Raw, data: PackedByteArray, sizes: Array, between := PackedByteArray()) -> PackedByteArray:
	var result := PackedByteArray()
	var start := 0
	for i in sizes.size():
		var part := data.slice(start, start + sizes[i])
		result.append_array(raw.make(Raw.BINARY if i == 0 else 0, part, i == sizes.size() - 1))
		if i < sizes.size() - 1:
			result.append_array(between)
		start += sizes[i]
	return result


func _put_together() -> void:
	var net := _limited(0)
	var raw := Raw.join(net.port, [net.server])
	var got := []
	for sizes: Array in [[10, 20], [0, 5, 0, 5, 0], [1000], [500, 500], [1, 998, 1]]:
		var total: int = sizes.reduce(func(sum: int, size: int) -> int: return sum + size, 0)
		raw.send(_fragments(raw, t.bytes(total, 7), sizes))
		t.pump([net.server], func() -> bool: return net.server.get_available_packet_count() > 0, 500)
		got.append(t.take(net.server) == ([t.bytes(total, 7)] as Array[PackedByteArray]))
	t.equal("fragments up to the limit become one message", got, [true, true, true, true, true])
	t.close_net(net)


func _ping_between() -> void:
	var net := _limited(0)
	var raw := Raw.join(net.port, [net.server])
	var ping := raw.make(Raw.PING, "hello".to_utf8_buffer())
	raw.send(_fragments(raw, t.bytes(90), [30, 30, 30], ping) + raw.make(Raw.BINARY, t.bytes(4)))
	var got := []
	t.pump(
		[net.server],
		func() -> bool:
			got.append_array(t.take(net.server))
			return got.size() >= 2,
		800
	)
	t.equal("a ping between fragments is not part of the message", got, [t.bytes(90), t.bytes(4)])
	var pongs := [raw.read_frame([net.server]), raw.read_frame([net.server])]
	t.equal(
		"and is answered",
		pongs.map(func(frame: Dictionary) -> Array: return [frame.get("op"), frame.get("payload")]),
		[[Raw.PONG, "hello".to_utf8_buffer()], [Raw.PONG, "hello".to_utf8_buffer()]]
	)
	t.close_net(net)


func _over_the_limit(sizes: Array) -> void:
	var net := _limited()
	var events := t.record(net.server)
	var raw := Raw.join(net.port, net.all)
	raw.send(_fragments(raw, t.bytes(2000), sizes))
	var code := raw.read_close(net.all, 1000)
	var closed := raw.wait_closed(net.all, 1000)
	t.pump(net.all, func() -> bool: return events.size() == 2, 500)
	t.equal(
		"fragments %s over the limit of %d: code, TCP closed, signals, packets" % [sizes, LIMIT],
		[code, closed, events.size(), net.server.get_available_packet_count()],
		[1009, true, 2, 0]
	)
	t.check("others play on after fragments %s" % [sizes], t.talks(net))
	t.close_net(net)


## The sender goes away in the middle of too much; nothing of it may stay.
func _sender_goes_over_the_limit() -> void:
	var net := _limited()
	var events := t.record(net.server)
	var raw := Raw.join(net.port, net.all)
	for i in 5:
		raw.send(raw.make(Raw.BINARY if i == 0 else 0, t.bytes(400), false))
	raw.tcp.disconnect_from_host()
	var freed := t.pump(net.all, func() -> bool: return events.size() == 2, 1500)
	t.check("a sender that goes in the middle of too much is freed", freed, events)
	t.close_net(net)


## Ten thousand fragments of one byte: refused at the limit, not taken as a way around it.
func _endless_small_fragments() -> void:
	var net := _limited()
	var raw := Raw.join(net.port, net.all)
	var data := raw.make(Raw.BINARY, t.bytes(1), false)
	for i in 1100:
		data.append_array(raw.make(0, t.bytes(1), false))
	raw.send(data)
	t.equal("1100 fragments of one byte are too much", raw.read_close(net.all, 1000), 1009)
	t.check("others play on after small fragments", t.talks(net))
	t.close_net(net)


func _towards_a_client() -> void:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var client := t.new_client()
	client.inbound_buffer_size = LIMIT
	client.create_client(t.url(listener.get_local_port()))
	var raw := Raw.serve(listener, [client])
	t.pump([client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	raw.send(_fragments(raw, t.bytes(90), [30, 30, 30], raw.make(Raw.PING, t.bytes(3))))
	t.pump([client], func() -> bool: return client.get_available_packet_count() > 0, 500)
	t.equal(
		"a client puts fragments with pings between them together",
		t.take(client),
		[t.bytes(90)] as Array[PackedByteArray]
	)
	raw.send(_fragments(raw, t.bytes(1200), [600, 600]))
	var code := raw.read_close([client], 1000)
	raw.tcp.disconnect_from_host()
	var gone := t.pump([client], func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED, 1000)
	t.equal("a client ends a connection with fragments over its limit", [code, gone], [1009, true])
	t.retire([client])
