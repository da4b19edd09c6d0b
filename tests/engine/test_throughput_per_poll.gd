extends SceneTree
## inbound_buffer_size bounds a message, not what one connection may bring in one poll.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

const TOTAL := 3_000_000

var t := Harness.new()


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	_bulk("a message of half the default buffer", 65535, 30_000, 20)
	_bulk("a message of half a small buffer", 4096, 2000, 60)
	_many_small()
	t.finish()


## As much as the kernel holds waits; then the server polls, and the client sends on between the polls.
func _bulk(name: String, buffer: int, size: int, most_polls: int) -> void:
	var net := t.connect_net(0, func(peer: Object, _is_server: bool) -> void: peer.inbound_buffer_size = buffer)
	var server: MultiplayerPeer = net.server
	var raw := Raw.join(net.port, [server])
	var data := PackedByteArray()
	var count := TOTAL / size
	for i in count:
		data.append_array(Raw.frame(Raw.BINARY, t.numbered(i, size)))
	var sent := 0
	var polls := 0
	var most := 0
	var got := []
	while got.size() < count and polls < 500:
		# Time for the kernel to move on what it has taken from the sender.
		for i in 3:
			var result: Array = raw.tcp.put_partial_data(data.slice(sent))
			sent += result[1]
			t.settle(2)
		server.poll()
		polls += 1
		var before := got.size()
		for packet in t.take(server):
			got.append(packet.decode_u32(0) if packet.size() == size else -1)
		most = maxi(most, (got.size() - before) * size)
	t.check("%s: all of 3 MB in order" % name, got == range(count), "%d of %d" % [got.size(), count])
	t.check("%s: one poll brings more than two buffers' size" % name, most >= 2 * buffer, "at most %d bytes" % most)
	t.check("%s: few polls for 3 MB" % name, polls <= most_polls, "%d polls" % polls)
	t.close_net(net)


## A load that the built-in class takes in one poll.
func _many_small() -> void:
	var net := t.connect_net(0)
	var raw := Raw.join(net.port, [net.server])
	var data := PackedByteArray()
	for i in 1500:
		data.append_array(Raw.frame(Raw.BINARY, t.numbered(i, 20)))
	raw.send(data)
	t.settle(50)
	net.server.poll()
	t.equal("1500 small messages come in one poll", net.server.get_available_packet_count(), 1500)
	t.close_net(net)
