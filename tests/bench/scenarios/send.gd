extends "res://scenario.gd"
## Some packets a frame to everybody: as one broadcast, or peer by peer as SceneMultiplayer does it.


func run() -> Dictionary:
	var packets: Array[PackedByteArray] = []
	for i: int in server.number("packets"):
		packets.append(pattern(server.number("size"), i))
	var broadcasts: bool = server.options.target == "all"
	await _frames(packets, broadcasts, server.number("warm"))
	server.meter.start()
	await _frames(packets, broadcasts, server.number("frames"))
	server.meter.stop("packet", packets.size() * server.ids.size() * server.number("frames"))
	return {}


func _frames(packets: Array[PackedByteArray], broadcasts: bool, count: int) -> void:
	for frame in count:
		await server.process_frame
		step()
		if broadcasts:
			peer.set_target_peer(MultiplayerPeer.TARGET_PEER_BROADCAST)
			for packet in packets:
				put(packet)
			continue
		for packet in packets:
			for id: int in server.ids:
				peer.set_target_peer(id)
				put(packet)
