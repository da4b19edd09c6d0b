extends SceneTree
## A server whose process has no file descriptors left: those who play go on, the log stays small, and newcomers are
## let in when there are descriptors again.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

const CROWD := 60
## Descriptors left for the server's ends of the crowd's connections.
const ROOM := 20

var t := Harness.new()


func _initialize() -> void:
	t.begin(self, 30.0)
	if not t.ready():
		return
	if not FileAccess.file_exists("/proc/self/limits"):
		t.check("not run: only Linux lets a process lower its limit from outside", true)
		t.finish()
		return
	t.expect_error("cannot accept connections")
	var net := t.connect_net(1)
	var server: MultiplayerPeer = net.server
	var gone := [0]
	server.peer_disconnected.connect(func(_id: int) -> void: gone[0] += 1)
	# The system completes them while nobody polls the server.
	var crowd: Array[Raw] = []
	for i in CROWD:
		crowd.append(Raw.dial(net.port))
		crowd[i].send_text(Raw.request(net.port))
	t.settle()

	var counter := ErrorCounter.start()
	if not t.check("the limit can be lowered", _limit_to(ROOM)):
		t.finish()
		return
	var is_short := func() -> bool: return server.get_stats().accept_errors > 0
	t.check("descriptors run out", t.pump(net.all, is_short))
	t.equal("those for whom there were some are in", server.get_stats().joined, 1 + ROOM)
	t.check("the client plays on", t.talks(net))
	var errors: int = server.get_stats().accept_errors
	var lasts := func() -> bool: return server.get_stats().accept_errors >= errors + 5
	t.check("it is tried again and again", t.pump(net.all, lasts))
	t.check("the client plays on while it lasts", t.talks(net))
	t.equal("nobody was given up", server.get_stats().handshakes_displaced, 0)
	counter.stop()
	t.equal("there is one line in the log", counter.count, 1)
	t.expect_error("create_server: ")
	t.expect_error("create_client: ")
	var late := t.new_client()
	t.check("nobody else can listen", late.create_server(0, "127.0.0.1") != OK)
	t.check("or connect", late.create_client(t.url(net.port)) != OK)
	t.equal("and is left as it was", late.get_connection_status(), Harness.DISCONNECTED)

	# Each of those frees two: its own, and the server's. The others of the crowd take them.
	_leave(crowd.slice(0, ROOM))
	var are_gone := func() -> bool: return gone[0] == ROOM
	t.check("those who leave are noticed", t.pump(net.all, are_gone), "%d of %d" % [gone[0], ROOM])
	var are_in := func() -> bool: return server.get_stats().joined == 1 + CROWD
	t.check("those who waited are let in", t.pump(net.all, are_in), server.get_stats())
	_leave(crowd.slice(ROOM, ROOM + 10))
	t.pump(net.all, func() -> bool: return gone[0] == ROOM + 10)
	errors = server.get_stats().accept_errors
	t.check("and who could not connect before, too", t.add_client(net, late))
	t.check("the newcomer plays", t.talks(net, 1))
	t.equal("without a further error", server.get_stats().accept_errors, errors)
	t.check("the client plays on afterwards", t.talks(net))
	crowd.clear()
	t.close_net(net)
	t.finish()


## Leaves `room` descriptors for this process. The limit is one on their numbers, and a new one gets the lowest that is
## free.
func _limit_to(room: int) -> bool:
	var number := -1
	while room > 0:
		number += 1
		if not FileAccess.file_exists("/proc/self/fdinfo/%d" % number):
			room -= 1
	return OS.execute("prlimit", ["--pid", str(OS.get_process_id()), "--nofile=%d:" % (number + 1)]) == OK


func _leave(raws: Array[Raw]) -> void:
	for raw in raws:
		raw.tcp.disconnect_from_host()
