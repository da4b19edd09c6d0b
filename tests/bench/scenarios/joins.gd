extends "res://scenario.gd"
## Clients come, and go as soon as they have an id, for some time.


func run() -> Dictionary:
	await steps(200)
	longest_poll = 0
	var before: int = server.joined
	server.meter.has_even_frames = false
	server.meter.start()
	await steps(server.number("msec"))
	server.meter.stop("join", server.joined - before)
	var usec: float = server.number("msec") * 1000.0
	return {
		"longest poll us": longest_poll,
		"wall us a join": usec / maxi(server.joined - before, 1),
	}


func step() -> int:
	var before: int = server.joined
	timed_poll()
	return server.joined - before
