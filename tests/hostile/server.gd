extends SceneTree
## A game's server that is attacked, and two well-behaved clients of it: `--script res://server.gd -- --port-file=PATH …`.
##
## One client plays all the time; the other is a newcomer who joins, gets one packet back, leaves, and joins again. They
## live in the server's process and are polled once a frame like it, so round trips are counts of frames, which do not
## depend on how busy the machine is.
##
## When it listens it writes its port into the file; when the file is taken away the attack is over. As soon as all is as
## before the attack, or after SETTLE_FRAMES, it prints what it saw as `RESULT {…}` and ends.
##
## --set=NAME=VALUE         a property of the server; several times
## --chain=PEM --key=PEM    TLS
## --broadcast=COUNT,SIZE   packets that all get in each frame
## --unreliable             these packets may be dropped
## --memory-limit=BYTES
## --no-newcomers
## --injected-header=TEXT   entry of handshake_headers that the server must not take
## --undecided              nobody decides about clients that ask for another path than "/"
## --status                 a status endpoint, whose port is the second in the file
## --expect=ERROR           part of an error line that must come

const GoodClient := preload("res://good_client.gd")
const Meter := preload("res://meter.gd")

## Frames for the clients to join and for memory to become warm.
const WARM_FRAMES := 40
## The server keeps a socket for up to 3 s after its close frame; this is 10 s.
const SETTLE_FRAMES := 600
## Nobody is there to end a server whose starter has died: 5 minutes.
const LIMIT_FRAMES := 18_000
## Frames between the leaving of a newcomer and the joining of the next.
const PAUSE := 6
## How often descriptors are counted while all must go back to what it was.
const COUNTED_EACH := 10

enum Phase { WARMING, ATTACKED, SETTLING, QUIET }

var _server := MioWebSocketMultiplayerPeer.new()
var _player := GoodClient.new()
var _newcomer: GoodClient
var _newcomer_since := 0
var _meter := Meter.new()

var _port_file := ""
var _is_secure := false
var _has_newcomers := true
var _broadcasts := 0
var _broadcast := PackedByteArray()
var _broadcast_number := 0
var _is_unreliable := false
## What nobody decides about; a script that waits for an answer keeps it, too.
var _undecided: Array[RefCounted] = []

var _phase := Phase.WARMING
var _phase_since := 0
var _frame := 0
var _attacked_since := 0
var _peers := {}
var _joins := 0
var _joins_at_end := 0
var _descriptors := 0
var _memory := 0
## CPU time of the three longest polls in microseconds, the longest last.
var _long_polls: Array[int] = [0, 0, 0]
var _result := {
	"peers_most": 0,
	"packets_taken": 0,
	"packets_refused": 0,
	"poll_usec": 0,
	"join": 0,
}


func _initialize() -> void:
	Engine.max_fps = 60
	# On a slow machine, time must not decide what counts of frames are there for.
	_server.handshake_timeout = 60.0
	_server.peer_connected.connect(func(id: int) -> void: _peers[id] = true)
	_server.peer_disconnected.connect(func(id: int) -> void: _peers.erase(id))
	for argument in OS.get_cmdline_user_args():
		var parts := argument.trim_prefix("--").split("=", true, 1)
		_configure(parts[0], parts[1] if parts.size() > 1 else "")
	var error := _server.create_server(0, "127.0.0.1")
	if error != OK:
		_fail("create_server: %s" % error_string(error))
		return
	_player.join(_server.get_local_port(), _is_secure)


func _configure(name: String, value: String) -> void:
	match name:
		"port-file":
			_port_file = value
		"set":
			var parts := value.split("=", true, 1)
			var wanted: Variant = str_to_var(parts[1])
			_server.set(parts[0], wanted)
			if _server.get(parts[0]) != wanted:
				_fail("%s cannot be set to %s" % [parts[0], parts[1]])
		"chain":
			_is_secure = true
			_server.tls_certificate_chain = value
		"key":
			_server.tls_private_key = value
		"broadcast":
			var numbers := value.split_floats(",")
			_broadcasts = int(numbers[0])
			_broadcast.resize(int(numbers[1]))
			_broadcast[0] = GoodClient.BROADCAST
		"unreliable":
			_is_unreliable = true
		"memory-limit":
			ClassDB.class_call_static("MioWebSocketMultiplayerPeer", "set_memory_limit", int(value))
		"expect":
			print("EXPECT_ERROR ", value)
		"no-newcomers":
			_has_newcomers = false
		"undecided":
			_server.set("admission_callback", _decide)
		"status":
			if _server.call("create_status_endpoint", 0) != OK:
				_fail("no status endpoint")
		"injected-header":
			_server.handshake_headers = ["X-Game: yes", value]
			if not _server.handshake_headers.is_empty():
				_fail("handshake_headers took a line break")
			_server.handshake_headers = ["X-Game: yes"]
		_:
			_fail("unknown option %s" % name)


func _decide(request: RefCounted) -> void:
	if request.get_path() == "/":
		request.accept()
	else:
		_undecided.append(request)


func _process(_delta: float) -> bool:
	_frame += 1
	_poll()
	_take()
	_send_to_all()
	_player.step(_frame)
	_step_newcomer()
	_go_on()
	return false


func _poll() -> void:
	var cpu := _meter.cpu_usec()
	var started := Time.get_ticks_usec()
	_server.poll()
	var took := Time.get_ticks_usec() - started
	var cpu_after := _meter.cpu_usec()
	if _phase != Phase.WARMING:
		_result.poll_usec = maxi(_result.poll_usec, took)
		if cpu >= 0 and cpu_after >= 0:
			_note_poll(cpu_after - cpu)
		_result.peers_most = maxi(_result.peers_most, _peers.size())


## Keeps the three longest.
func _note_poll(usec: int) -> void:
	_long_polls[0] = maxi(_long_polls[0], usec)
	_long_polls.sort()


func _take() -> void:
	while _server.get_available_packet_count() > 0:
		var sender := _server.get_packet_peer()
		var packet := _server.get_packet()
		_result.packets_taken += 1
		# The last packets of a peer that has gone cannot be answered.
		if packet[0] == GoodClient.ECHO and _peers.has(sender):
			_server.set_target_peer(sender)
			_put(packet)


func _send_to_all() -> void:
	if _phase == Phase.WARMING:
		return
	for i in _broadcasts:
		_broadcast.encode_u32(1, _broadcast_number)
		_broadcast_number += 1
		_server.set_target_peer(MultiplayerPeer.TARGET_PEER_BROADCAST)
		if _is_unreliable:
			_server.transfer_mode = MultiplayerPeer.TRANSFER_MODE_UNRELIABLE
		_put(_broadcast)
		_server.transfer_mode = MultiplayerPeer.TRANSFER_MODE_RELIABLE


func _put(packet: PackedByteArray) -> void:
	if _server.put_packet(packet) != OK:
		_result.packets_refused += 1


func _step_newcomer() -> void:
	if not _has_newcomers or _phase == Phase.QUIET:
		return
	if _frame < _newcomer_since:
		return
	if _newcomer == null:
		_newcomer = GoodClient.new()
		_newcomer.join(_server.get_local_port(), _is_secure)
	_newcomer.step(_frame)
	if _phase != Phase.WARMING:
		_result.join = maxi(_result.join, _frame - _newcomer_since)
	if _newcomer.returned > 0:
		_joins += 1
		_leave_newcomer()
	elif _newcomer.has_failed():
		# Tries again, and has been waiting since the first time.
		_newcomer = null


func _leave_newcomer() -> void:
	if _newcomer != null:
		_newcomer.leave()
		_newcomer = null
	_newcomer_since = _frame + PAUSE


func _go_on() -> void:
	var since := _frame - _phase_since
	match _phase:
		Phase.WARMING:
			# The baseline is taken when the player is alone.
			if since == WARM_FRAMES:
				_has_newcomers = false
				_leave_newcomer()
			elif since > WARM_FRAMES and _peers.size() == 1 and _player.returned > 0:
				_begin()
			elif since > SETTLE_FRAMES:
				_fail("the clients did not get in: %s" % _player.problem)
		Phase.ATTACKED:
			if not FileAccess.file_exists(_port_file):
				_joins_at_end = _joins
				_enter(Phase.SETTLING)
		Phase.SETTLING:
			if _joins > _joins_at_end or not _has_newcomers or since > SETTLE_FRAMES:
				_leave_newcomer()
				_player.is_quiet = true
				_enter(Phase.QUIET)
		Phase.QUIET:
			# Counting descriptors is not for each frame.
			if since % COUNTED_EACH == 0 and (_is_as_before() or since > SETTLE_FRAMES):
				_end()
	if _frame > LIMIT_FRAMES:
		_fail("the attack did not end")


func _enter(phase: Phase) -> void:
	_phase = phase
	_phase_since = _frame


func _begin() -> void:
	_has_newcomers = not OS.get_cmdline_user_args().has("--no-newcomers")
	_joins = 0
	_player.worst = 0
	_descriptors = _meter.descriptors()
	_meter.forget_peak()
	_memory = _meter.resident()
	_attacked_since = Time.get_ticks_msec()
	_enter(Phase.ATTACKED)
	# Beside and renamed, so that nobody reads half a number.
	var file := FileAccess.open(_port_file + ".part", FileAccess.WRITE)
	file.store_string("%d %d" % [_server.get_local_port(), _server.get_status_endpoint_port()])
	file.close()
	DirAccess.rename_absolute(_port_file + ".part", _port_file)


func _is_as_before() -> bool:
	return _peers.size() == 1 and _player.missing() == 0 and _meter.descriptors() == _descriptors


func _end() -> void:
	_result.merge({
		"frames": _frame,
		"poll_cpu_usec": _long_polls[2],
		"third_poll_cpu_usec": _long_polls[0],
		"seconds": (Time.get_ticks_msec() - _attacked_since) / 1000.0,
		"player": _player.problem,
		"returned": _player.returned,
		"missing": _player.missing(),
		"round_trip": _player.worst,
		"joins": _joins,
		"joins_after": _joins - _joins_at_end,
		"peers_left": _peers.size() - 1,
		"descriptors_before": _descriptors,
		"descriptors_after": _meter.descriptors(),
		"memory_grown": _meter.peak() - _memory,
		"memory_kept": _meter.resident() - _memory,
	})
	if _server.has_method("get_stats"):
		_result["stats"] = _server.call("get_stats")
	print("RESULT ", JSON.stringify(_result))
	_player.leave()
	_server.close()
	print("PASS the server lives")
	quit()


func _fail(why: String) -> void:
	print("FAIL the server: %s" % why)
	quit(1)
