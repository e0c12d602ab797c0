import Foundation
import NIOCore

/// A model that sends its tokens on schedule, and the clients that read them, in one thread over
/// `epoll`.
///
/// It uses plain system calls, since whatever the model and the client spend on a token is taken
/// from the cores that the server needs.
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

    /// The port on which the model listens.
    let port: Int
    private let epoll: Epoll
    private let listener: TCPSocket
    /// The role of each socket, by descriptor.
    private var roles: [Int32: Role] = [:]
    private var timers = Timers<Due>()
    private let answer = CheapAnswer(tokens: 100)
    /// The nanoseconds between two tokens.
    private let pace: UInt64
    private let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 8)

    /// Creates a model that listens on a free port.
    ///
    /// - Parameter pace: The milliseconds between two tokens.
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

    /// Runs streams, each with one response after another, until all have ended. The first
    /// responses are not counted, because they open connections.
    ///
    /// - Parameter rounds: The number of responses of each stream that are counted.
    func measure(streams: Int, port: Int, rounds: Int, request: (Int) -> ByteBuffer) throws -> PacedAnswers {
        var answers = PacedAnswers()
        var open = streams
        // The streams begin at different times, so that the figures show tokens and not a burst of
        // begins.
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

    /// Sends a token, and schedules the next on a fixed grid of times, so that a late token does
    /// not delay those after it.
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
