import CEpoll
import Foundation
import NIOCore

/// Linux's `epoll`, for sockets that are read.
final class Epoll {
    private let descriptor: Int32
    private let events = UnsafeMutableBufferPointer<epoll_event>.allocate(capacity: 256)

    init() throws {
        descriptor = epoll_create1(0)
        guard descriptor >= 0 else { throw Failure(description: "epoll_create1: errno \(errno)") }
    }

    deinit {
        events.deallocate()
        close(descriptor)
    }

    func add(_ socket: Int32) throws {
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(fd: socket))
        guard epoll_ctl(descriptor, EPOLL_CTL_ADD, socket, &event) == 0 else { throw Failure(description: "epoll_ctl: errno \(errno)") }
    }

    /// Waits for at most `nanoseconds`, and calls `ready` with each descriptor that can be read.
    func wait(nanoseconds: UInt64, ready: (Int32) throws -> Void) throws {
        var timeout = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        let count = epoll_pwait2(descriptor, events.baseAddress, Int32(events.count), &timeout, nil)
        guard count >= 0 || errno == EINTR else { throw Failure(description: "epoll_pwait2: errno \(errno)") }
        for index in 0..<Int(max(0, count)) { try ready(events[index].data.fd) }
    }
}

/// A non-blocking TCP socket on loopback.
struct TCPSocket {
    let descriptor: Int32

    static func listening() throws -> TCPSocket {
        let socket = try TCPSocket()
        var address = loopback(port: 0)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket.descriptor, $0, size) }
        }
        guard result == 0, listen(socket.descriptor, 8192) == 0 else { throw Failure(description: "listen: errno \(errno)") }
        try socket.stopBlocking()
        return socket
    }

    static func connected(to port: Int) throws -> TCPSocket {
        let socket = try TCPSocket()
        var address = loopback(port: port)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket.descriptor, $0, size) }
        }
        guard result == 0 else { throw Failure(description: "connect: errno \(errno)") }
        try socket.stopBlocking()
        return socket
    }

    private init() throws {
        try self.init(descriptor: Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    }

    private init(descriptor: Int32) throws {
        guard descriptor >= 0 else { throw Failure(description: "socket: errno \(errno)") }
        self.descriptor = descriptor
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        address.sin_port = in_port_t(port).bigEndian
        return address
    }

    private func stopBlocking() throws {
        guard fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else { throw Failure(description: "fcntl: errno \(errno)") }
    }

    var port: Int {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        return Int(in_port_t(bigEndian: address.sin_port))
    }

    /// Accepts a connection.
    ///
    /// - Returns: Nil if no client waits.
    func accept() throws -> TCPSocket? {
        let descriptor = Glibc.accept(descriptor, nil, nil)
        guard descriptor >= 0 else {
            guard errno == EAGAIN else { throw Failure(description: "accept: errno \(errno)") }
            return nil
        }
        let socket = try TCPSocket(descriptor: descriptor)
        try socket.stopBlocking()
        return socket
    }

    /// Reads the bytes that have arrived and that fit.
    ///
    /// - Returns: Nil if none have arrived; an empty buffer at the end of the stream.
    func read(into space: UnsafeMutableRawBufferPointer) -> UnsafeRawBufferPointer? {
        let count = Glibc.read(descriptor, space.baseAddress, space.count)
        if count < 0, errno == EAGAIN { return nil }
        return UnsafeRawBufferPointer(rebasing: space[..<max(0, count)])
    }

    /// Writes all bytes. The sockets' buffers are large enough for what a benchmark sends at once.
    func write(_ bytes: ByteBuffer) throws {
        let written = bytes.withUnsafeReadableBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        // The next read detects a peer that has closed.
        guard written == bytes.readableBytes || written < 0 && [EPIPE, ECONNRESET].contains(errno) else {
            throw Failure(description: "a write of \(bytes.readableBytes) bytes: \(written), errno \(errno)")
        }
    }

    func close() { Glibc.close(descriptor) }
}
