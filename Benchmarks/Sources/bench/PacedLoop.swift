import Foundation
import NIOCore

/// A model whose tokens come at their times, and the clients that read them, in one thread over `epoll`.
///
/// By system calls alone: what a token's way through the model and the client costs is taken from the cores that the server needs.
final class PacedLoop {
    private enum Role {
        case listener
        case model(PacedModel)
        case client(PacedClient)
    }

    private enum Due {
        case token(PacedModel)
        case connect(stream: Int)
    }

    /// Where the model listens.
    let port: Int
    private let epoll: Epoll
    private let listener: TCPSocket
    /// By descriptor.
    private var roles: [Int32: Role] = [:]
    private var timers = Timers<Due>()
    private let answer = CheapAnswer(tokens: 100)
    /// Nanoseconds between two tokens.
    private let pace: UInt64
    private let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 8)

    /// - Parameter pace: Milliseconds between two tokens.
    init(pace: Int) throws {
        self.pace = UInt64(pace) * 1_000_000
        epoll = try Epoll()
        listener = try TCPSocket.listening()
        port = listener.port
        roles[listener.descriptor] = .listener
        try epoll.add(listener.descriptor)
    }

    deinit {
        for descriptor in roles.keys { Foundation.close(descriptor) }
        space.deallocate()
    }

    /// Has streams run, each with answers one after the other, and returns when all have ended. The first answers are not counted: they open connections.
    ///
    /// - Parameter rounds: Answers that are counted.
    func measure(streams: Int, port: Int, rounds: Int, request: (Int) -> ByteBuffer) throws -> PacedAnswers {
        var answers = PacedAnswers()
        var open = streams
        // They begin apart, so that what is measured is tokens and not the rush of the beginning.
        let spread = max(500_000_000, pace * 25)
        for stream in 0..<streams { timers.add(.connect(stream: stream), at: now() + .random(in: 0..<spread)) }
        while open > 0 {
            while let due = timers.take(until: now()) {
                switch due.value {
                case .token(let model):
                    try sendToken(of: model, due: due.time)
                case .connect(let stream):
                    let client = PacedClient(try .connected(to: port), request: request(stream), rounds: rounds)
                    try epoll.add(client.socket.descriptor)
                    roles[client.socket.descriptor] = .client(client)
                    try client.post()
                }
            }
            let (next, time) = (timers.next ?? .max, now())
            try epoll.wait(nanoseconds: min(next > time ? next - time : 0, 1_000_000_000)) { descriptor in
                switch roles[descriptor] {
                case .listener: try acceptAll()
                case .model(let model): try read(model)
                case .client(let client):
                    guard try client.read(through: space) else { return }
                    answers.add(client, rounds: rounds)
                    open -= 1
                    close(client.socket)
                case nil: break
                }
            }
        }
        return answers
    }

    private func acceptAll() throws {
        while let socket = try listener.accept() {
            try epoll.add(socket.descriptor)
            roles[socket.descriptor] = .model(PacedModel(socket))
        }
    }

    private func read(_ model: PacedModel) throws {
        switch try model.read(through: space) {
        case .nothing:
            break
        case .request:
            model.tokens = 0
            try model.socket.write(answer.head)
            try sendToken(of: model, due: now())
        case .end:
            close(model.socket)
        }
    }

    /// On a grid of times, so that a late one does not move the ones behind it.
    private func sendToken(of model: PacedModel, due: UInt64) throws {
        guard model.isOpen else { return }
        guard model.tokens < answer.tokens else { return try model.socket.write(answer.end) }
        model.tokens += 1
        try model.socket.write(answer.timed.token())
        timers.add(.token(model), at: due + pace)
    }

    private func close(_ socket: TCPSocket) {
        roles[socket.descriptor] = nil
        socket.close()
    }

    private func now() -> UInt64 { NIODeadline.now().uptimeNanoseconds }
}

/// A connection to the model.
final class PacedModel {
    enum Reading {
        case nothing
        case request
        case end
    }

    let socket: TCPSocket
    var tokens = 0
    private(set) var isOpen = true
    private var received = ByteBuffer()

    init(_ socket: TCPSocket) {
        self.socket = socket
    }

    func read(through space: UnsafeMutableRawBufferPointer) throws -> Reading {
        guard let bytes = socket.read(into: space) else { return .nothing }
        isOpen = !bytes.isEmpty
        guard isOpen else { return .end }
        received.writeBytes(bytes)
        return received.readCheapRequest() == nil ? .nothing : .request
    }
}
