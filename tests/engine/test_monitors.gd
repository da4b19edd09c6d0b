extends SceneTree
## monitors_enabled: which monitors there are, what they say, and that none is left behind.

const Harness := preload("res://support/harness.gd")

const NAMES: Array[String] = [
	"peers", "packets_in_per_second", "packets_out_per_second", "bytes_in_per_second", "bytes_out_per_second",
	"queued_bytes", "waiting_packets", "rtt_milliseconds", "poll_milliseconds_per_second",
]

var t := Harness.new()


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	_comes_and_goes()
	_values()
	_two()
	_freed()
	_ended_from_within()
	t.finish()


func _comes_and_goes() -> void:
	var peer := t.new_server()
	t.equal("off unless asked for", peer.monitors_enabled, false)
	peer.create_server(t.free_port(), "127.0.0.1")
	t.equal("none", _ours(), [])
	peer.monitors_enabled = true
	t.equal("all when asked for", _ours(), _all("Mio WebSocket"))
	peer.monitors_enabled = true
	t.equal("once", _ours().size(), NAMES.size())
	peer.monitors_enabled = false
	t.equal("none when not wanted any more", _ours(), [])
	peer.monitors_enabled = true
	peer.close()
	t.equal("none while closed", _ours(), [])
	t.equal("but still wanted", peer.monitors_enabled, true)
	peer.create_server(t.free_port(), "127.0.0.1")
	t.equal("again when it is created anew", _ours(), _all("Mio WebSocket"))
	Performance.remove_custom_monitor("Mio WebSocket/peers")
	peer.close()
	t.equal("one that somebody else has removed is no error", _ours(), [])
	var client := t.new_client()
	client.monitors_enabled = true
	client.create_client("ws://127.0.0.1:%d" % t.free_port())
	t.equal("for clients, too", _ours(), _all("Mio WebSocket"))
	var gave_up := func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED
	t.check("a client that is refused gives up", t.pump([client], gave_up))
	t.equal("none of a client that has given up", _ours(), [])


func _values() -> void:
	var net := t.connect_net(2)
	var server: MultiplayerPeer = net.server
	server.monitors_enabled = true
	t.equal("peers", _value("peers"), 2.0)
	t.equal("no rate before there are two questions", _value("packets_in_per_second"), 0.0)
	for i in 20:
		net.clients[0].put_packet(t.bytes(100))
	t.check("packets arrive", t.pump(net.all, func() -> bool: return server.get_available_packet_count() == 20))
	t.equal("what waits", _value("waiting_packets"), 20.0)
	server.set_target_peer(0)
	server.put_packet(t.bytes(1000))
	# Beyond the shortest window.
	OS.delay_msec(520)
	var packets := _value("packets_in_per_second")
	t.check("packets a second", packets > 0.0 and packets <= 40.0, packets)
	t.check("of a hundred bytes each", is_equal_approx(_value("bytes_in_per_second"), packets * 100.0))
	t.check("others go out", is_equal_approx(_value("packets_out_per_second") * 10.0, packets))
	t.check("polls take time", _value("poll_milliseconds_per_second") > 0.0)
	OS.delay_msec(520)
	t.equal("and then it is quiet", _value("packets_in_per_second"), 0.0)
	t.close_net(net)
	t.equal("none is left", _ours(), [])


func _two() -> void:
	var net := t.connect_net(1)
	net.server.monitors_enabled = true
	net.clients[0].monitors_enabled = true
	t.equal("the second has a number", _ours(), _all("Mio WebSocket 2") + _all("Mio WebSocket"))
	net.server.close()
	t.equal("the first goes", _ours(), _all("Mio WebSocket 2"))
	net.server.create_server(t.free_port(), "127.0.0.1")
	t.equal("its name is taken again", _ours(), _all("Mio WebSocket 2") + _all("Mio WebSocket"))
	t.close_net(net)
	t.equal("all are gone", _ours(), [])


func _freed() -> void:
	var peer := t.new_server()
	peer.create_server(t.free_port(), "127.0.0.1")
	peer.monitors_enabled = true
	t.equal("monitors keep no peer alive", peer.get_reference_count(), 1)
	var ref: WeakRef = weakref(peer)
	peer = null
	t.equal("it is freed", ref.get_ref(), null)
	t.equal("with its monitors", _ours(), [])
	for monitor in Performance.get_custom_monitor_names():
		Performance.get_custom_monitor(monitor)


func _ended_from_within() -> void:
	var net := t.connect_net(1)
	var server: MultiplayerPeer = net.server
	server.monitors_enabled = true
	var seen := []
	var close := func(_id: int) -> void:
		seen.append(_value("peers"))
		server.close()
	server.peer_disconnected.connect(close)
	net.clients[0].close()
	t.check("a handler may ask and close", t.pump([server], func() -> bool: return seen.size() == 1))
	t.equal("and nothing is left", _ours(), [])
	t.close_net(net)


func _ours() -> Array:
	var names := Array(Performance.get_custom_monitor_names()).map(func(name: StringName) -> String: return String(name))
	names.sort()
	return names


func _all(group: String) -> Array:
	var names := NAMES.map(func(name: String) -> String: return "%s/%s" % [group, name])
	names.sort()
	return names


func _value(name: String) -> float:
	return Performance.get_custom_monitor("Mio WebSocket/" + name)
