extends RefCounted
## One server of a soak: checks what its clients send, sends it back, and does to them what the
## clients' process asks for.

const Packets := preload("res://soak/packets.gd")
const Player := preload("res://soak/player.gd")

const CLASS := "MioWebSocketMultiplayerPeer"
## Frames from one broadcast to the next.
const BROADCAST_PERIOD := 6
## Payload bytes that may wait for one client. More than any client has on its way but those that
## stop reading, so that only their packets are refused.
const OUTBOUND_SIZE := 256 * 1024
## Seconds. Honest clients need less, however busy the machine is.
const HANDSHAKE_TIMEOUT := 10.0
## Seconds between the pings to a client that has fallen silent.
const HEARTBEAT := 1.0
## Frames that a newcomer waits to be let in, at most.
const DECISION := 20
## Failures that are printed; what follows them is most often the same.
const FAILURES := 20

var name: String
var port := 0
## Peers by id.
var players := {}
## What is told about clients that have gone, each in the order that `ledger.rs` reads.
var gone: Array[Array] = []
## Broadcasts stop.
var is_hushed := false

## Figures.
var joined := 0
var left := 0
## Microseconds.
var longest_poll := 0
var refused := 0
var failures := 0

var _peer: MultiplayerPeer
var _packets: Packets
var _tls: TLSOptions
var _random := RandomNumberGenerator.new()
var _frame := 0
var _broadcasts := 0
## The step in which the last broadcast was made.
var _broadcast_step := -1
var _step := 0
## Ids of those that read slowly: packets to them may be refused.
var _slow := {}
## Ids that were forced out in this frame; packets of theirs may still be there.
var _forced := {}
## Parts of error lines that have been declared.
var _expected := {}
## Newcomers that wait to be let in, each behind the frame in which that happens.
var _requests: Array[Array] = []
## When a drain closes whoever is still there, in milliseconds; 0 without one.
var _drains_at := 0
## The frames in which it is open, polled and takes newcomers in again.
var _opens_at := 0
var _wakes_at := 0
var _admits_at := 0


func _init(own_name: String, packets: Packets, tls: TLSOptions, number: int) -> void:
	name = own_name
	_packets = packets
	_tls = tls
	_random.seed = number
	_peer = ClassDB.instantiate(CLASS)
	_peer.inbound_buffer_size = Packets.LARGEST
	_peer.outbound_buffer_size = OUTBOUND_SIZE
	_peer.handshake_timeout = HANDSHAKE_TIMEOUT
	_peer.admission_callback = _on_request
	_peer.drained.connect(_on_drained)
	_peer.peer_connected.connect(_on_connected)
	_peer.peer_disconnected.connect(_on_disconnected)
	_open()


## What is done in a frame.
func step(frame: int) -> void:
	_frame = frame
	if frame < _opens_at or frame < _wakes_at:
		return
	if _peer.get_connection_status() == MultiplayerPeer.CONNECTION_DISCONNECTED:
		_open()
	_peer.refuse_new_connections = frame < _admits_at
	_step += 1
	_timed_poll()
	while _peer.get_available_packet_count() > 0:
		var id := _peer.get_packet_peer()
		_take(id, _peer.get_packet())
	_forced.clear()
	_let_in()
	for id: int in _slow.keys():
		_catch_up(players[id])
	if not is_hushed and frame % BROADCAST_PERIOD == 0 and not players.is_empty():
		_broadcast()


## Tells somebody to go, and tries to send to them then.
func kick(force: bool) -> void:
	if players.is_empty() or _peer.get_connection_status() != MultiplayerPeer.CONNECTION_CONNECTED:
		return
	var player := _anyone()
	if player.how != "left":
		return
	player.how = "forced" if force else "kicked"
	_end_broadcasts(player)
	if force or player.id % 2 == 0:
		_peer.disconnect_peer(player.id, force)
	else:
		_peer.close_peer(player.id, 4000, "told to go")
	_peer.set_target_peer(player.id)
	# Without force it is known until its end is told.
	var expected := ERR_INVALID_PARAMETER if force else FAILED
	var result := _peer.put_packet(_packets.control(Packets.WELCOME, [0]))
	if result != expected:
		_fail("put_packet to %d, which was told to go, said %d" % [player.id, result])
	if force:
		_expect("no peer with the id")
		_forced[player.id] = true
		_part(player)


## Ends everything, and listens again on the same port in so many frames.
func restart(frames: int) -> void:
	_peer.close()
	_drains_at = 0
	for player: Player in players.values():
		player.how = "closed"
		_part(player)
	_peer.set_target_peer(0)
	if _peer.put_packet(_packets.control(Packets.WELCOME, [0])) != ERR_UNCONFIGURED:
		_fail("put_packet to a closed server was not refused")
	_expect("the peer is not connected")
	_opens_at = _frame + frames


## Is not polled for so many frames.
func nap(frames: int) -> void:
	_wakes_at = _frame + frames


## Leaves newcomers waiting for so many frames.
func refuse(frames: int) -> void:
	_admits_at = _frame + frames


## Takes nobody in any more and closes whoever is still there in so many frames; goes on when all
## have gone.
func drain(frames: int) -> void:
	if _peer.get_connection_status() != MultiplayerPeer.CONNECTION_CONNECTED or _peer.is_draining():
		return
	_drains_at = Time.get_ticks_msec() + frames * 1000 / 60
	if _peer.begin_drain(frames / 60.0) != OK:
		_fail("begin_drain was refused")


func close() -> void:
	_peer.close()


func _open() -> void:
	var error: Error = _peer.create_server(port, "127.0.0.1", _tls)
	if error != OK:
		_fail("create_server: %d" % error)
	port = _peer.get_local_port()


## The time that the process waited for a core is not the poll's.
func _timed_poll() -> void:
	var waited := _waited_usec()
	var started := Time.get_ticks_usec()
	_peer.poll()
	var usec := Time.get_ticks_usec() - started
	if usec > longest_poll:
		longest_poll = maxi(longest_poll, usec - (_waited_usec() - waited))


func _waited_usec() -> int:
	var file := FileAccess.open("/proc/self/schedstat", FileAccess.READ)
	return file.get_line().get_slice(" ", 1).to_int() / 1000


## Most decisions take a while, as when somebody else is asked.
func _on_request(request: RefCounted) -> void:
	if _random.randi_range(0, 2) == 0:
		_accept(request)
	else:
		_requests.append([_frame + _random.randi_range(1, DECISION), request])


func _let_in() -> void:
	for waiting: Array in _requests:
		# It may have left, or its server was closed.
		if waiting[0] <= _frame and waiting[1].is_pending():
			_accept(waiting[1])
	_requests = _requests.filter(func(waiting: Array) -> bool: return waiting[0] > _frame)


func _accept(request: RefCounted) -> void:
	var expected := ERR_BUSY if _peer.is_draining() else OK
	var result: Error = request.accept()
	if result != expected:
		_fail("accept said %d" % result)


func _on_drained() -> void:
	if not players.is_empty():
		_fail("%d players are there after the drain" % players.size())
	_peer.cancel_drain()
	_drains_at = 0


func _on_connected(id: int) -> void:
	joined += 1
	if players.has(id):
		_fail("%d is connected twice" % id)
	var player := Player.new(id, _broadcasts)
	players[id] = player
	_send(player, _packets.control(Packets.WELCOME, [_broadcasts]))


func _on_disconnected(id: int) -> void:
	var player: Player = players.get(id)
	if player == null:
		_fail("%d is disconnected and was not connected" % id)
		return
	if player.how == "left" and _drains_at > 0 and Time.get_ticks_msec() >= _drains_at:
		player.how = "drained"
	# It is still known, and nothing can be sent to it.
	_peer.set_target_peer(id)
	if _peer.put_packet(_packets.control(Packets.WELCOME, [0])) == OK:
		_fail("put_packet to %d was accepted while its end was told" % id)
	_part(player)


## Reports a client that has gone.
func _part(player: Player) -> void:
	left += 1
	players.erase(player.id)
	_slow.erase(player.id)
	if player.last_broadcast < 0:
		_end_broadcasts(player)
	var heard := player.last_broadcast - player.first_broadcast - player.unheard
	gone.append([name, player.id, player.key, player.how, player.received, player.echoed, heard,
			int(player.is_unsure), player.is_broken])


## No more broadcasts are sent to it.
func _end_broadcasts(player: Player) -> void:
	player.last_broadcast = _broadcasts
	player.is_unsure = _step - _broadcast_step <= 1


func _take(id: int, packet: PackedByteArray) -> void:
	var player: Player = players.get(id)
	if player == null:
		if not _forced.has(id):
			_fail("a packet came from %d, which is not connected" % id)
		return
	if player.is_broken:
		return
	var kind := Packets.kind(packet)
	if kind == Packets.CONTROL:
		_obey(player, packet)
		return
	if packet != _packets.make(kind, player.key, player.received, packet.size()):
		player.is_broken = true
		_fail("instead of packet %d of client %d came %s" % [
				player.received, player.key, Packets.describe(packet)])
		return
	player.received += 1
	if kind == Packets.ECHO:
		_send(player, packet)


func _obey(player: Player, packet: PackedByteArray) -> void:
	match packet[0] & 63:
		Packets.HELLO:
			player.key = packet.decode_u32(1)
		Packets.CHECK:
			if player.received != packet.decode_u32(1):
				player.is_broken = true
				_fail("%d of %d packets of client %d came" % [
						player.received, packet.decode_u32(1), player.key])
			player.wants_account = true
			_account(player)
		Packets.SLOW:
			player.is_fast = false
			_slow[player.id] = true
		Packets.FAST:
			player.is_fast = true
		Packets.VANISH:
			_peer.get_peer(player.id).heartbeat_interval = HEARTBEAT


## Says what came and what was sent, when all that was to be sent is on its way.
func _account(player: Player) -> void:
	if player.wants_account and player.backlog.is_empty():
		player.wants_account = false
		var numbers := PackedInt32Array([player.received, player.echoed, _broadcasts])
		_send(player, _packets.control(Packets.CHECK, numbers))


## Sends, or keeps for later what is refused for want of room.
func _send(player: Player, packet: PackedByteArray) -> void:
	if player.backlog.is_empty():
		match _put(player, packet):
			OK:
				return
			ERR_OUT_OF_MEMORY:
				_count_refusal()
				if not _slow.has(player.id):
					_fail("a packet to client %d was refused although it reads" % player.key)
					_slow[player.id] = true
			FAILED:
				# It is going: its end is told in a moment.
				return
			var error:
				_fail("put_packet to client %d said %d" % [player.key, error])
				return
	player.backlog.append(packet)
	player.unheard += int(Packets.kind(packet) == Packets.BROADCAST)


func _put(player: Player, packet: PackedByteArray) -> Error:
	_peer.set_target_peer(player.id)
	var result := _peer.put_packet(packet)
	player.echoed += int(result == OK and Packets.kind(packet) == Packets.ECHO)
	return result


## Tries again to send what was refused.
func _catch_up(player: Player) -> void:
	if not player.backlog.is_empty():
		var view: PacketPeer = _peer.get_peer(player.id)
		if view.get_current_outbound_buffered_amount() > OUTBOUND_SIZE / 2:
			return
	var count := 0
	for packet in player.backlog:
		var result := _put(player, packet)
		if result == ERR_OUT_OF_MEMORY:
			_count_refusal()
		if result != OK:
			break
		count += 1
		player.unheard -= int(Packets.kind(packet) == Packets.BROADCAST)
	player.backlog = player.backlog.slice(count)
	_account(player)
	if player.is_fast and player.backlog.is_empty():
		_slow.erase(player.id)


## To all at once, in turn to all but one, who gets it alone. One by one while a packet to somebody
## may be refused, since nobody would know to whom.
func _broadcast() -> void:
	var size := _random.randi_range(1, 200)
	if _random.randi_range(0, 20) == 0:
		size = _random.randi_range(1, 8192)
	var packet := _packets.make(Packets.BROADCAST, 0, _broadcasts, size)
	_broadcasts += 1
	_broadcast_step = _step
	if not _slow.is_empty():
		for player: Player in players.values():
			if player.how == "left":
				_send(player, packet)
		return
	var apart: Player = _anyone() if _broadcasts % 2 == 0 else null
	_peer.set_target_peer(-apart.id if apart else 0)
	var result := _peer.put_packet(packet)
	if result != OK:
		_fail("put_packet to all said %d" % result)
	if apart and apart.how == "left":
		_send(apart, packet)


func _anyone() -> Player:
	return players.values()[_random.randi_range(0, players.size() - 1)]


func _count_refusal() -> void:
	refused += 1
	_expect("does not fit into the outbound queue")


## Declares an error in the log that belongs to what is done here.
func _expect(part: String) -> void:
	if not _expected.has(part):
		_expected[part] = true
		print("EXPECT_ERROR ", part)


func _fail(text: String) -> void:
	failures += 1
	if failures <= FAILURES:
		print("FAIL %s: %s" % [name, text])
