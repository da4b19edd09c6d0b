extends "res://scenario.gd"
## What connections hold: when they are new, and after some traffic. The first ones are not counted:
## with them come buffers that all share.

const FIRST := 100

var _base := 0
var _echoed := 0


func gathered(count: int) -> void:
	if count >= FIRST and _base == 0:
		_base = server.meter.memory()


func run() -> Dictionary:
	var clients: int = server.number("clients")
	var counted := float(clients - FIRST) * 1024
	var idle: int = server.meter.memory()
	server.meter.start()
	while _echoed < clients * server.number("messages") and not server.is_late():
		await steps(100)
	await steps(300)
	server.meter.stop("message", _echoed)
	var after: int = server.meter.memory()
	return {
		"KiB a connection, new": (idle - _base) / counted,
		"KiB a connection, after traffic": (after - _base) / counted,
	}


func step() -> int:
	var taken := echo()
	_echoed += taken
	return taken
