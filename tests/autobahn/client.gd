extends SceneTree
## Echoes for Autobahn's fuzzing server: plays all its cases, one after the other.
##
## godot --headless --path tests/autobahn --script res://client.gd -- --url=ws://127.0.0.1:PORT

const Echo := preload("res://echo.gd")

const AGENT := "client"


func _initialize() -> void:
	OS.low_processor_usage_mode_sleep_usec = Echo.PAUSE_USEC
	var url := ""
	for argument in OS.get_cmdline_user_args():
		if argument.begins_with("--url="):
			url = argument.trim_prefix("--url=")
	_play_all(url)


func _play_all(url: String) -> void:
	var count := (await _ask(url + "/getCaseCount")).to_int()
	for case in range(1, count + 1):
		var socket := _connect("%s/runCase?case=%d&agent=%s" % [url, case, AGENT])
		while Echo.is_alive(socket):
			Echo.serve(socket)
			await process_frame
	await _ask("%s/updateReports?agent=%s" % [url, AGENT])
	print("played %d cases" % count)
	quit(0 if count > 0 else 1)


func _connect(url: String) -> MioWebSocketPeer:
	var socket := MioWebSocketPeer.new()
	socket.inbound_buffer_size = Echo.LIMIT
	socket.outbound_buffer_size = Echo.LIMIT
	var error: Error = socket.connect_to_url(url)
	if error != OK:
		print("FAIL cannot connect to %s: %s" % [url, error_string(error)])
	return socket


## What the server answers.
func _ask(url: String) -> String:
	var socket := _connect(url)
	var answer := ""
	while Echo.is_alive(socket):
		socket.poll()
		while socket.get_available_packet_count() > 0:
			answer = socket.get_packet().get_string_from_utf8()
		await process_frame
	return answer
