extends "res://scenario.gd"
## Many clients come at one instant, and stay.


func run() -> Dictionary:
	# One is there: it tells the server when to begin.
	var crowd: int = server.number("crowd") + 1
	var end: int = Time.get_ticks_msec() + server.number("msec")
	server.meter.has_even_frames = false
	server.meter.start()
	while server.joined < crowd and Time.get_ticks_msec() < end:
		await server.process_frame
		timed_poll()
	server.meter.stop("join", server.joined - 1)
	return { "longest poll us": longest_poll, "out at the end": crowd - server.joined }
