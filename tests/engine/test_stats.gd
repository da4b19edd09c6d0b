extends SceneTree
## get_peer_stats and get_stats: what each says of traffic that both ends count, of ends by close code and of polls.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

const PEER_KEYS: Array[String] = [
	"packets_sent", "packets_received", "bytes_sent", "bytes_received", "wire_bytes_sent", "wire_bytes_received",
	"queued_packets", "queued_bytes", "packets_refused", "packets_dropped", "rtt", "rtt_jitter", "connected_seconds",
]
const KEYS: Array[String] = [
	"accepted", "joined", "refused_full", "refused_draining", "refused_rate", "refused_proxy", "refused_path",
	"refused_origin", "refused_request", "refused_admission", "failed_tls", "handshake_timeouts", "handshakes_displaced",
	"accept_errors", "closed_too_big", "closed_fragments", "closed_rate", "closed_protocol", "closed_overflow", "closed_memory",
	"packets_refused", "packets_dropped", "packets_sent", "packets_received", "bytes_sent", "bytes_received",
	"wire_bytes_sent", "wire_bytes_received", "polls", "busy_polls", "poll_seconds", "closes", "peers",
	"pending_handshakes", "queued_packets", "queued_bytes", "waiting_packets", "waiting_bytes", "rtt",
]

var t := Harness.new()


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	_untouched()
	_traffic()
	_round_trips()
	_queues()
	_ends()
	t.finish()


func _untouched() -> void:
	var peer := t.new_server()
	var stats: Dictionary = peer.get_stats()
	t.equal("get_stats has its keys", _missing(KEYS, stats), [])
	t.equal("nothing has happened", stats.accepted + stats.packets_sent + stats.wire_bytes_sent + stats.polls, 0)
	t.equal("no closes", stats.closes, {})
	t.equal("no round-trip time", stats.rtt, -1.0)
	t.expect_error("get_peer_stats: no peer with the id 5")
	t.equal("an id that is not connected has no numbers", peer.get_peer_stats(5), {})


func _traffic() -> void:
	var net := t.connect_net(2)
	var server: MultiplayerPeer = net.server
	var client: MultiplayerPeer = net.clients[0]
	var id: int = net.ids[0]
	var fresh: Dictionary = server.get_peer_stats(id)
	t.equal("get_peer_stats has its keys", _missing(PEER_KEYS, fresh), [])
	t.equal("the id is no packet", [fresh.packets_sent, fresh.bytes_sent], [0, 0])
	t.check("the upgrade went through the socket", fresh.wire_bytes_sent > 100 and fresh.wire_bytes_received > 100)

	for size: int in [1, 126, 65000]:
		server.set_target_peer(id)
		server.put_packet(t.bytes(size))
		client.put_packet(t.bytes(size + 1))
	server.set_target_peer(0)
	server.put_packet(t.bytes(10))
	var all_there := func() -> bool:
		return client.get_available_packet_count() == 4 and server.get_available_packet_count() == 3
	t.check("everything arrives", t.pump(net.all, all_there))
	var here: Dictionary = server.get_peer_stats(id)
	var there: Dictionary = client.get_peer_stats(1)
	t.equal("packets and bytes sent", [here.packets_sent, here.bytes_sent], [4, 65137])
	t.equal("packets and bytes received", [here.packets_received, here.bytes_received], [3, 65130])
	t.equal("the client has received as many", [there.packets_received, there.bytes_received], [4, 65137])
	t.equal("the client has sent as many", [there.packets_sent, there.bytes_sent], [3, 65130])
	t.equal("what one end sends the other reads", here.wire_bytes_sent, there.wire_bytes_received)
	t.equal("and the other way", here.wire_bytes_received, there.wire_bytes_sent)
	t.check("more than the payload went over the wire", here.wire_bytes_sent > here.bytes_sent + 4 * 2)
	t.check("time goes on", here.connected_seconds >= fresh.connected_seconds and here.connected_seconds > 0.0)
	t.equal("the other client has its own numbers", server.get_peer_stats(net.ids[1]).packets_sent, 1)
	t.equal("totals of the server", _some(server, ["packets_sent", "bytes_sent", "peers"]), [5, 65147, 2])
	t.equal("what has not been taken waits", _some(server, ["waiting_packets", "waiting_bytes"]), [3, 65130])
	t.take(server)
	t.equal("and then no more", _some(server, ["waiting_packets", "waiting_bytes"]), [0, 0])

	var before: Dictionary = server.get_stats()
	for i in 100:
		server.poll()
	var after: Dictionary = server.get_stats()
	t.equal("polls are counted", after.polls - before.polls, 100)
	t.check("but only busy ones timed", after.busy_polls < after.polls and after.poll_seconds > 0.0, after)
	t.close_net(net)
	var last: Dictionary = server.get_stats()
	t.equal("totals stay when the server closes", [last.packets_sent, last.bytes_sent, last.peers], [5, 65147, 0])
	t.check("none has gone down", _never_down(after, last), last)


func _round_trips() -> void:
	var configure := func(peer: MultiplayerPeer, is_server: bool) -> void:
		if is_server:
			peer.heartbeat_interval = 0.02
	var net := t.connect_net(2, configure)
	var server: MultiplayerPeer = net.server
	t.check("round-trip times get known", t.pump(net.all, func() -> bool: return server.get_peer_stats(net.ids[1]).rtt >= 0.0))
	var stats: Dictionary = server.get_peer_stats(net.ids[1])
	t.equal("the same everywhere", [stats.rtt, stats.rtt_jitter], [server.get_peer_rtt(net.ids[1]), server.get_peer_jitter(net.ids[1])])
	t.check("and their mean", t.pump(net.all, func() -> bool: return server.get_stats().rtt > 0.0), server.get_stats())
	t.equal("a client that sends no pings knows none", net.clients[0].get_peer_stats(1).rtt, -1.0)
	t.close_net(net)


func _queues() -> void:
	var configure := func(peer: MultiplayerPeer, is_server: bool) -> void:
		if is_server:
			peer.drop_stale_packets = true
	var net := t.connect_net(1, configure)
	var server: MultiplayerPeer = net.server
	var id: int = net.ids[0]
	server.set_target_peer(id)
	var put := 0
	t.expect_error("does not fit into the outbound queue")
	while put < 100000 and server.put_packet(t.bytes(5000)) == OK:
		put += 1
	server.transfer_mode = MultiplayerPeer.TRANSFER_MODE_UNRELIABLE
	server.put_packet(t.bytes(10))
	var stats: Dictionary = server.get_peer_stats(id)
	t.equal("accepted packets are sent ones", stats.packets_sent, put)
	t.equal("one was refused, one dropped", [stats.packets_refused, stats.packets_dropped], [1, 1])
	t.check("the rest waits", stats.queued_packets > 0 and stats.queued_bytes == stats.queued_packets * 5000, stats)
	t.equal("also for all together", _some(server, ["queued_packets", "queued_bytes"]), [stats.queued_packets, stats.queued_bytes])
	var pending := StreamPeerTCP.new()
	pending.connect_to_host("127.0.0.1", net.port)
	var is_pending := func() -> bool:
		pending.poll()
		return server.get_stats().pending_handshakes == 1
	t.check("who is not in yet is counted", t.pump([server], is_pending))
	t.close_net(net)


func _ends() -> void:
	var net := t.connect_net(3)
	var server: MultiplayerPeer = net.server
	var raw := Raw.join(net.port, [server])
	raw.send_frame(Raw.CLOSE, PackedByteArray([4242 >> 8, 4242 & 255]))
	t.check("one leaves with a code of its own", t.pump(net.all, func() -> bool: return server.get_stats().closes.has(4242)))
	var cut := Raw.join(net.port, [server])
	cut.tcp.disconnect_from_host()
	t.check("one without a word", t.pump(net.all, func() -> bool: return server.get_stats().closes.has(1006)))
	net.clients[0].close()
	t.check("one is closed", t.pump(net.all, func() -> bool: return server.get_stats().closes.has(1000)), server.get_stats())
	server.disconnect_peer(net.ids[1], true)
	server.disconnect_peer(net.ids[2])
	t.check("all are gone", t.pump(net.all, func() -> bool: return server.get_stats().peers == 0))
	var stats: Dictionary = server.get_stats()
	t.equal("each end has its code", stats.closes, {1000: 3, 1006: 1, 4242: 1})
	t.equal("who joined is in or has gone", stats.joined, 5)
	t.close_net(net)


func _missing(keys: Array[String], stats: Dictionary) -> Array:
	return keys.filter(func(key: String) -> bool: return not stats.has(key)) + stats.keys().filter(
		func(key: String) -> bool: return not keys.has(key)
	)


func _some(peer: MultiplayerPeer, keys: Array) -> Array:
	var stats: Dictionary = peer.get_stats()
	return keys.map(func(key: String) -> Variant: return stats[key])


func _never_down(before: Dictionary, after: Dictionary) -> bool:
	for key: String in before:
		var is_now := ["peers", "rtt", "closes"].has(key) or key.begins_with("waiting") or key.begins_with("queued") or key.begins_with("pending")
		if not is_now and after[key] < before[key]:
			return false
	return true
