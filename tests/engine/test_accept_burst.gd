extends SceneTree
## Many clients that come at once are all let in, in a few polls.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

const COUNT := 200
const POLLS := 10

var t := Harness.new()


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	var server := t.new_server()
	var port := t.free_port()
	server.create_server(port, "127.0.0.1")
	var ids := {}
	server.peer_connected.connect(func(id: int) -> void: ids[id] = true)

	# Nobody polls the server: the system has to take them.
	var raws: Array[Raw] = []
	for i in COUNT:
		var raw := Raw.new()
		raw.tcp = StreamPeerTCP.new()
		raw.tcp.connect_to_host("127.0.0.1", port)
		raws.append(raw)
	var connected := func() -> bool: return raws.all(func(raw: Raw) -> bool: return raw.is_open())
	t.check(
		"%d connections at once wait for the server" % COUNT,
		t.pump(raws, connected, 500),
		"%d do" % raws.filter(func(raw: Raw) -> bool: return raw.is_open()).size()
	)
	for raw in raws:
		if raw.is_open():
			raw.send_text(Raw.request(port))
	t.settle(50)
	for i in POLLS:
		server.poll()
		t.settle(2)
	t.equal("all are connected after %d polls" % POLLS, ids.size(), COUNT)

	var answered := 0
	for raw in raws:
		raw.read_head([server], 100)
		var first := raw.read_frame([server], 100)
		answered += int(
			raw.status() == 101 and ids.has(first.get("payload", PackedByteArray([0, 0, 0, 0])).decode_s32(0))
		)
		if answered < 1:
			break
	t.equal("each has got its own id", answered, COUNT)

	var gone := [0]
	server.peer_disconnected.connect(func(_id: int) -> void: gone[0] += 1)
	for raw in raws:
		raw.tcp.disconnect_from_host()
	t.settle(30)
	t.pump([server], func() -> bool: return gone[0] == COUNT, 2000)
	t.equal("all are gone again", gone[0], COUNT)
	t.retire([server])
	t.finish()
