extends SceneTree
## The server of one measurement: `--script res://server.gd -- key=value …`. It is the same for each
## class. `rust/bench` plays the clients; both get the same options.
##
## The first client says "go" when all are in, and is told "ready"; then the scenario runs, and what
## it found goes back as "done" and a JSON object. A scenario in which the server is the one to check
## then says "sound", or "broken" and why.
##
## With `alone=FILE` the class is one without a network, which makes up its clients. What they would
## be told is written to the file.

const Meter := preload("res://meter.gd")
const Scenario := preload("res://scenario.gd")

## Nothing here runs longer, whatever happens.
const LIMIT_MS := 300_000

var options := {}
var peer: MultiplayerPeer
var meter := Meter.new()
## Connected peers, in the order of their coming.
var ids: Array[int] = []
var joined := 0

## The client that is told about the run.
var _control := 0
## Who is told where there is no network.
var _file: FileAccess
var _is_judged := false


func _initialize() -> void:
	for argument in OS.get_cmdline_user_args():
		options[argument.get_slice("=", 0)] = argument.get_slice("=", 1)
	meter.server = self
	Engine.max_fps = 60
	_run()


func number(name: String) -> int:
	return int(options[name])


func is_framed() -> bool:
	return options.get("pace", "loop") == "frame"


## Whether this process has been here for too long.
func is_late() -> bool:
	return Time.get_ticks_msec() > LIMIT_MS


## Tells the clients something about the run.
func tell(text: String) -> void:
	if _file != null:
		_file.store_line(text)
		_file.flush()
		return
	peer.set_target_peer(_control)
	peer.put_packet(text.to_utf8_buffer())
	peer.poll()


## Tells the clients what the server thinks of the packets it got, once it knows.
func judge(verdict: String) -> void:
	if verdict != "" and not _is_judged:
		_is_judged = true
		tell(verdict)


func _run() -> void:
	await process_frame
	var scenario: Scenario = load("res://scenarios/%s.gd" % options.scenario).new()
	scenario.server = self
	_listen()
	if peer == null:
		quit(1)
		return
	scenario.peer = peer
	scenario.prepare()
	_gather(scenario, number("clients"))
	_wait_for_go()
	if _control == 0:
		quit(1)
		return
	if is_framed():
		await meter.measure_engine(self)
	tell("ready")
	var result: Dictionary = await scenario.run()
	result.merge(meter.account())
	if scenario.refused > 0:
		result["refused"] = scenario.refused
	tell("done" + JSON.stringify(result))
	# What is still on its way is checked by the clients. When they have all, this process is ended.
	while not is_late():
		scenario.linger()
		OS.delay_usec(500)
	quit()


func _listen() -> void:
	if not ClassDB.can_instantiate(options["class"]):
		print("FAILED: there is no class %s" % options["class"])
		return
	peer = ClassDB.instantiate(options["class"])
	peer.peer_connected.connect(func(id: int) -> void:
		ids.append(id)
		joined += 1)
	peer.peer_disconnected.connect(func(id: int) -> void: ids.erase(id))
	if options.has("alone"):
		_file = FileAccess.open(options.alone, FileAccess.WRITE)
		peer.pretend(options)
	if options.has("buffer"):
		peer.inbound_buffer_size = number("buffer")
		peer.outbound_buffer_size = number("buffer")
	var error: Error = peer.create_server(number("port"), "127.0.0.1", _tls())
	print("LISTENING %d" % OS.get_process_id() if error == OK else "FAILED: create_server: %d" % error)


func _tls() -> TLSOptions:
	var key := CryptoKey.new()
	var certificate := X509Certificate.new()
	match options.get("tls", "no"):
		"p256":
			key.load(options.key)
			certificate.load(options.certificate)
		"rsa":
			var crypto := Crypto.new()
			key = crypto.generate_rsa(2048)
			certificate = crypto.generate_self_signed_certificate(key, "CN=localhost")
		_:
			return null
	return TLSOptions.server(key, certificate)


func _gather(scenario: Scenario, count: int) -> void:
	while ids.size() < count and not is_late():
		peer.poll()
		scenario.gathered(ids.size())


## The client that says it is the one to talk to.
func _wait_for_go() -> void:
	while _control == 0 and not is_late():
		peer.poll()
		while peer.get_available_packet_count() > 0:
			var from := peer.get_packet_peer()
			if peer.get_packet().get_string_from_ascii() == "go":
				_control = from
		OS.delay_usec(5000)
