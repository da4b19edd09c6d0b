extends "res://scenario.gd"
## Each packet goes back to its sender.


func run() -> Dictionary:
	await steps(200)
	server.meter.start()
	var echoed: int = await steps(server.number("msec"))
	server.meter.stop("message", echoed)
	return {}


func step() -> int:
	return echo()
