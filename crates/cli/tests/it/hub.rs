//! A server on the loopback address that gives every request the same answer.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

/// Starts a server that answers with `status` and `headers`, lines that end with `\r\n`, and gives its address.
pub(crate) fn answering(status: u16, headers: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let answer =
        format!("HTTP/1.1 {status} Answer\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n");
    // The thread ends with the test's process: nobody waits for it.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let request = BufReader::new(stream.try_clone().expect("a stream")).lines();
            request.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    format!("http://{address}")
}
