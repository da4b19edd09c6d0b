extends "res://scenario.gd"
## Polls that find nothing, with many connected.

const POLLS_AT_ONCE := 20


func run() -> Dictionary:
	await steps(100)
	server.meter.start()
	var polls := 0
	var end: int = Time.get_ticks_msec() + server.number("msec")
	while Time.get_ticks_msec() < end:
		if server.is_framed():
			await server.process_frame
			peer.poll()
			polls += 1
			continue
		for i in POLLS_AT_ONCE:
			peer.poll()
		polls += POLLS_AT_ONCE
	server.meter.stop("poll", polls)
	return {}
