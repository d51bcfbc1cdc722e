//! One origin: a thread that listens, and one for each connection.

use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::fault::Fault;
use crate::http::{Answer, Request, read_request, write_answer};
use crate::shared::{CONTROL_PATH, OriginName, Shared, lock};
use crate::{control, hub, store};

/// A listening port; its connections end when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    open: Arc<Open>,
    listener: Option<JoinHandle<()>>,
}

/// The connections that are open.
#[derive(Debug, Default)]
struct Open {
    stop: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Server {
    pub(crate) fn start(origin: OriginName, shared: Arc<Shared>) -> io::Result<Self> {
        let socket = TcpListener::bind(("127.0.0.1", 0))?;
        let address = socket.local_addr()?;
        let open = Arc::new(Open::default());
        let of_thread = Arc::clone(&open);
        let listener = thread::spawn(move || {
            for stream in socket.incoming() {
                if of_thread.stop.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    accept(stream, origin, &shared, &of_thread);
                }
            }
        });
        Ok(Self { address, open, listener: Some(listener) })
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.open.stop.store(true, Ordering::SeqCst);
        for stream in lock(&self.open.streams).drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
        // Wakes the listener, which waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            drop(listener.join());
        }
    }
}

fn accept(stream: TcpStream, origin: OriginName, shared: &Arc<Shared>, open: &Arc<Open>) {
    let Ok(handle) = stream.try_clone() else { return };
    let mut streams = lock(&open.streams);
    // Those that have ended are forgotten now and then.
    streams.retain(|stream| stream.peer_addr().is_ok());
    streams.push(handle);
    drop(streams);
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        // A client that hangs up is no concern.
        drop(serve(&stream, origin, &shared));
        drop(stream.shutdown(Shutdown::Both));
    });
}

fn serve(stream: &TcpStream, origin: OriginName, shared: &Shared) -> io::Result<()> {
    let mut stream = stream.try_clone()?;
    stream.set_nodelay(true)?;
    let mut rest = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut rest)? {
        let fault = shared.fault(&format!("{} {}", request.method, request.target));
        thread::sleep(shared.site.delay);
        let again = answer(&mut stream, origin, shared, &request, fault.as_ref())?;
        if !again || request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            return Ok(());
        }
    }
    Ok(())
}

/// Answers a request; returns whether the connection can be used again.
fn answer(
    stream: &mut TcpStream,
    origin: OriginName,
    shared: &Shared,
    request: &Request,
    fault: Option<&Fault>,
) -> io::Result<bool> {
    let mut answer = match fault {
        Some(Fault::Raw { head, piece, times, every_ms }) => {
            shared.note(origin, request, 0);
            stream.write_all(head.as_bytes())?;
            for _ in 0..*times {
                thread::sleep(Duration::from_millis(*every_ms));
                stream.write_all(piece.as_bytes())?;
            }
            return Ok(false);
        }
        Some(Fault::Close) => {
            shared.note(origin, request, 0);
            return Ok(false);
        }
        Some(Fault::Hang) => {
            shared.note(origin, request, 0);
            while io::Read::read(stream, &mut [0; 1024])? > 0 {}
            return Ok(false);
        }
        Some(Fault::Answer { status, headers, body }) => {
            let mut answer = Answer::new(*status, body.clone().into_bytes());
            answer.headers.clone_from(headers);
            answer
        }
        _ => match origin {
            OriginName::Hub if shared.site.control && request.target.starts_with(CONTROL_PATH) => {
                control::answer(shared, request)
            }
            OriginName::Hub => hub::answer(shared, request, fault),
            OriginName::Store => store::answer(shared, request, fault),
        },
    };
    if let Some(Fault::Headers(headers)) = fault {
        let number = shared.requests().to_string();
        for (name, value) in headers {
            answer.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            answer.headers.push((name.clone(), value.replace("{n}", &number)));
        }
    }
    let sent = shared.note(origin, request, answer.status);
    write_answer(stream, request, &answer, fault, shared.site.bytes_per_second, &sent)
}
