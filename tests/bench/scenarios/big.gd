extends "res://scenario.gd"
## Large packets that go back to their sender.


var _before := 0


func prepare() -> void:
	_before = server.meter.resident()


func run() -> Dictionary:
	server.meter.forget_peak()
	await steps(100)
	server.meter.start()
	var echoed: int = await steps(server.number("msec"))
	server.meter.stop("message", echoed)
	return { "MiB at the peak, more than before": (server.meter.peak() - _before) / 1048576.0 }


func step() -> int:
	return echo()
