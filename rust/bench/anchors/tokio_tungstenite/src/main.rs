//! tokio-tungstenite on one thread: each message goes back to its sender.

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("which port?")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("LISTENING {}", std::process::id());
        loop {
            let (socket, _) = listener.accept().await?;
            tokio::task::spawn_local(async move { serve(socket).await.ok() });
        }
    })
}

async fn serve(socket: TcpStream) -> Result<(), Box<dyn Error>> {
    socket.set_nodelay(true)?;
    let mut socket = tokio_tungstenite::accept_async(socket).await?;
    // The clients know how the engine's class greets: with an id.
    socket.send(Message::binary(&[2, 0, 0, 0][..])).await?;
    while let Some(message) = socket.next().await {
        // All that are there go back in one write.
        socket.feed(message?).await?;
        while let Some(Some(message)) = futures_util::FutureExt::now_or_never(socket.next()) {
            socket.feed(message?).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}
