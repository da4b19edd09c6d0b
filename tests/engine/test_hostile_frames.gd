extends SceneTree
## Frames that break the rules end their connection with the right close code, and nobody else's.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

var t := Harness.new()
var _net: Dictionary
var _listener := TCPServer.new()


func _initialize() -> void:
	t.begin(self, 18.0)
	if not t.ready():
		return
	_net = t.connect_net(1)
	_listener.listen(0, "127.0.0.1")
	var to_server := _frames(true)
	var to_client := _frames(false)
	for name: String in to_server:
		_to_server(name, to_server[name][0], to_server[name][1])
		_to_client(name, to_client[name][0], to_client[name][1])
	_garbage()
	_unread_pongs()
	t.close_net(_net)
	t.finish()


## Name -> [close code, bytes]; `m`: masked, as a client's frames are.
func _frames(m: bool) -> Dictionary:
	var some := t.bytes(6)
	var none := PackedByteArray()
	return {
		"RSV1": [1002, Raw.frame(Raw.BINARY, some, m, true, 4)],
		"RSV2": [1002, Raw.frame(Raw.BINARY, some, m, true, 2)],
		"RSV3": [1002, Raw.frame(Raw.BINARY, some, m, true, 1)],
		"opcode 3": [1002, Raw.frame(3, some, m)],
		"opcode 7": [1002, Raw.frame(7, some, m)],
		"opcode 11": [1002, Raw.frame(11, some, m)],
		"opcode 15": [1002, Raw.frame(15, some, m)],
		"a continuation of nothing": [1002, Raw.frame(0, some, m)],
		"a message inside another": [1002, Raw.frame(Raw.BINARY, some, m, false) + Raw.frame(Raw.BINARY, some, m)],
		"masking the wrong way round": [1002, Raw.frame(Raw.BINARY, some, not m)],
		"a ping of 126 bytes": [1002, Raw.frame(Raw.PING, t.bytes(126), m)],
		"a fragmented ping": [1002, Raw.frame(Raw.PING, some, m, false)],
		"a short length in 16 bits": [1002, Raw.frame(Raw.BINARY, some, m, true, 0, -1, 16)],
		"a short length in 64 bits": [1002, Raw.frame(Raw.BINARY, some, m, true, 0, -1, 64)],
		"text that is not UTF-8": [1007, Raw.frame(Raw.TEXT, PackedByteArray([0x61, 0xff, 0x62]), m)],
		"text cut inside a character": [1007, Raw.frame(Raw.TEXT, PackedByteArray([0x61, 0xc3]), m)],
		"a message over the limit": [1009, Raw.frame(Raw.BINARY, t.bytes(65536), m)],
		"only the head of a huge message": [1009, Raw.frame(Raw.BINARY, none, m, true, 0, 1 << 40)],
		"a length with the top bit": [1002, Raw.frame(Raw.BINARY, none, m, true, 0, 1 << 63)],
		"a close with the code 999": [1002, _close(999, m)],
		"a close with the code 1005": [1002, _close(1005, m)],
		"a close with the code 1006": [1002, _close(1006, m)],
		"a close with the code 2000": [1002, _close(2000, m)],
		"a close with the code 5000": [1002, _close(5000, m)],
		"a close with half a code": [1002, Raw.frame(Raw.CLOSE, PackedByteArray([3]), m)],
		"a close with bad UTF-8": [1007, Raw.frame(Raw.CLOSE, PackedByteArray([3, 0xe8, 0xff]), m)],
		"a close with the code 1000": [1000, _close(1000, m)],
		"a close with the code 3000": [3000, _close(3000, m)],
		"a close with the code 4999": [4999, _close(4999, m)],
		"a close without a code": [0, Raw.frame(Raw.CLOSE, none, m)],
	}


func _close(code: int, masked: bool) -> PackedByteArray:
	return Raw.frame(Raw.CLOSE, PackedByteArray([code >> 8, code & 255]), masked)


func _to_server(name: String, code: int, data: PackedByteArray) -> void:
	var events := t.record(_net.server)
	var raw := Raw.join(_net.port, _net.all)
	raw.send(data)
	var got := raw.read_close(_net.all, 800)
	var closed := raw.wait_closed(_net.all, 800)
	t.pump(_net.all, func() -> bool: return events.size() == 2, 800)
	t.equal(
		"server: %s: code, TCP closed, signals, packets, others" % name,
		[got, closed, events.size(), _net.server.get_available_packet_count(), t.talks(_net)],
		[code, true, 2, 0, true]
	)


func _to_client(name: String, code: int, data: PackedByteArray) -> void:
	var client := t.new_client()
	client.create_client(t.url(_listener.get_local_port()))
	var raw := Raw.serve(_listener, [client])
	t.pump([client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	raw.send(data)
	var got := raw.read_close([client], 800)
	# A server ends TCP first; a client may wait for that.
	raw.tcp.disconnect_from_host()
	var gone := t.pump([client], func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED, 800)
	t.equal("client: %s: code, disconnected" % name, [got, gone], [code, true])
	client.close()


## Bytes without any sense, and ends in the middle of things.
func _garbage() -> void:
	var generator := RandomNumberGenerator.new()
	generator.seed = 4711
	for i in 100:
		var raw := Raw.join(_net.port, _net.all)
		var data := PackedByteArray()
		for n in generator.randi_range(1, 60):
			data.append(generator.randi() & 255)
		raw.send(data)
		_net.server.poll()
		raw.tcp.disconnect_from_host()
	t.spin(_net.all, 20)
	t.take(_net.server)
	t.check("others play on after 100 clients that send garbage", t.talks(_net))


## A client that sends pings and does not read the answers: memory and time stay bounded.
func _unread_pongs() -> void:
	var raw := Raw.join(_net.port, _net.all)
	var events := t.record(_net.server)
	var pings := PackedByteArray()
	for i in 20000:
		pings.append_array(
			Raw.frame(Raw.PING, t.bytes(1), true) if i % 100 else Raw.frame(Raw.PING, t.bytes(120), true)
		)
	var sent := 0
	var longest := 0
	var talked := 0
	for i in 200:
		if sent < pings.size() and raw.tcp.get_status() == StreamPeerTCP.STATUS_CONNECTED:
			sent += raw.tcp.put_partial_data(pings.slice(sent, sent + 4000))[1]
		var start := Time.get_ticks_msec()
		_net.server.poll()
		longest = maxi(longest, Time.get_ticks_msec() - start)
		raw.tcp.poll()
		if i % 20 == 0:
			talked += int(t.talks(_net))
	t.check("20000 pings without reading: others play on", talked == 10, talked)
	t.check("20000 pings without reading: no poll takes long", longest < 200, "%d ms" % longest)
	# It may read at last and stay, or have been thrown out; not something between.
	raw.tcp.disconnect_from_host()
	t.check(
		"20000 pings without reading: the connection ends",
		t.pump(_net.all, func() -> bool: return events.size() == 1, 1500),
		events
	)
