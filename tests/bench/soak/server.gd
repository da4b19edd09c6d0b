extends SceneTree
## The server of a soak: `--script res://soak/server.gd -- key=value …`. `rust/bench/src/soak` plays
## the clients and says what is to be done here, through a connection to a desk of its own. The desk
## tells them the number of each frame, who has gone and why, and what was measured.

const Meter := preload("res://meter.gd")
const Hall := preload("res://soak/hall.gd")
const Packets := preload("res://soak/packets.gd")

## Bytes that may wait for the desk's client: a hall that closes reports all its clients at once.
const DESK_SIZE := 16 << 20

var _options := {}
var _desk: MultiplayerPeer
var _halls: Array[Hall] = []
var _meter := Meter.new()
var _frame := 0
## What is told with the next frame besides its number.
var _news := {}
var _is_over := false


func _initialize() -> void:
	for argument in OS.get_cmdline_user_args():
		_options[argument.get_slice("=", 0)] = argument.get_slice("=", 1)
	Engine.max_fps = 60
	_run()


func _run() -> void:
	await process_frame
	var packets := Packets.new()
	_desk = ClassDB.instantiate(Hall.CLASS)
	_desk.outbound_buffer_size = DESK_SIZE
	var error: Error = _desk.create_server(0, "127.0.0.1")
	_halls.append(Hall.new("ws", packets, null, 1))
	_halls.append(Hall.new("wss", packets, _tls(), 2))
	if error != OK or _halls.any(func(hall: Hall) -> bool: return hall.failures > 0):
		quit(1)
		return
	print("LISTENING %d %d %d" % [_desk.get_local_port(), _halls[0].port, _halls[1].port])
	process_frame.connect(_on_frame)


func _tls() -> TLSOptions:
	var key := CryptoKey.new()
	var certificate := X509Certificate.new()
	key.load(_options.key)
	certificate.load(_options.certificate)
	return TLSOptions.server(key, certificate)


func _on_frame() -> void:
	_frame += 1
	_desk.poll()
	while _desk.get_available_packet_count() > 0:
		for command: Dictionary in JSON.parse_string(_desk.get_packet().get_string_from_utf8()):
			_obey(command)
	for hall in _halls:
		hall.step(_frame)
	_tell()
	if _is_over:
		_quit()


func _obey(command: Dictionary) -> void:
	var hall: Hall = _halls[command.hall] if command.has("hall") else null
	match command.do:
		"kick":
			hall.kick(false)
		"force":
			hall.kick(true)
		"restart":
			hall.restart(command.frames)
		"nap":
			hall.nap(command.frames)
		"refuse":
			hall.refuse(command.frames)
		"drain":
			hall.drain(command.frames)
		"hush":
			for each in _halls:
				each.is_hushed = command.on
		"measure":
			_news["measured"] = _measure()
		"quit":
			_is_over = true


## After the halls have been polled: what a client sends when it knows the number of a frame comes
## into the next poll at the earliest, and the answers of a frame leave before its number.
func _tell() -> void:
	_news["frame"] = _frame
	var gone := []
	for hall in _halls:
		gone.append_array(hall.gone)
		hall.gone.clear()
	if not gone.is_empty():
		_news["gone"] = gone
	_desk.put_packet(JSON.stringify(_news).to_utf8_buffer())
	# Polled a second time it writes at once.
	_desk.poll()
	_news = {}


func _measure() -> Dictionary:
	var halls := _halls.map(func(hall: Hall) -> Dictionary:
		return {
			"name": hall.name,
			"peers": hall.players.size(),
			"joined": hall.joined,
			"left": hall.left,
			"refused": hall.refused,
			"failures": hall.failures,
			"longest_poll_usec": hall.longest_poll,
		})
	var folder := "/proc/self/fd"
	var descriptors := (DirAccess.get_files_at(folder).size()
			+ DirAccess.get_directories_at(folder).size())
	return {
		"anonymous": _meter.memory(),
		"resident": _meter.resident(),
		"descriptors": descriptors,
		"halls": halls,
	}


func _quit() -> void:
	for hall in _halls:
		hall.close()
	_desk.close()
	quit()
