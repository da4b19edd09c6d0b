extends RefCounted
## The echo that both programs are.

## For the largest messages of the suite, 16 MiB, and some of them at once.
const LIMIT := 64 * 1024 * 1024

## Time between two looks at the sockets. Without a window the engine sleeps some milliseconds each frame, which is most
## of the time of a short case.
const PAUSE_USEC := 500


## Sends back what has come, as what it came: text as text, bytes as bytes.
static func serve(socket: MioWebSocketPeer) -> void:
	socket.poll()
	while socket.get_available_packet_count() > 0:
		var message := socket.get_packet()
		# The end may have come right behind the message.
		if socket.get_ready_state() != MioWebSocketPeer.STATE_OPEN:
			continue
		var is_text := socket.was_string_packet()
		var mode := MioWebSocketPeer.WRITE_MODE_TEXT if is_text else MioWebSocketPeer.WRITE_MODE_BINARY
		var error: Error = socket.send(message, mode)
		if error != OK:
			print("FAIL cannot send %d bytes back: %s" % [message.size(), error_string(error)])


static func is_alive(socket: MioWebSocketPeer) -> bool:
	return socket.get_ready_state() != MioWebSocketPeer.STATE_CLOSED
