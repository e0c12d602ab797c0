public import NIOHTTP1

/// The form in which a vendor's API takes requests and gives responses. A format is a value without
/// state, in a folder of its own.
///
/// It knows no socket, no clock and no task: ``HTTPLanguageModel`` has these, once for all formats.
///
/// - Note: A model holds its format, and a response its decoder, as `any`. One call goes through
///   the decoder's witness table for each read from the socket; all calls below it are direct. A
///   class that is generic over the format would be reached through the HTTP client's delegate
///   protocol, where the compiler calls the code that is not specialized: measured with a decoder
///   of this size, 1,030 instructions more for each read, against 65 for `any`.
public protocol WireFormat: Sendable {
    /// The decoder of a response.
    associatedtype Decoder: ResponseDecoder

    /// Returns the URL that requests go to.
    ///
    /// - Parameter baseURL: `http` or `https`, as the provider's own page gives it.
    func url(base baseURL: String) -> String

    /// Returns the headers of each request that this format needs, the key's included.
    func headers(apiKey: String?) -> HTTPHeaders

    /// Returns a request's body.
    ///
    /// - Parameters:
    ///   - request: The conversation and its settings.
    ///   - concessions: What the server has refused to take requests without.
    func encode(_ request: LLMRequest, conceding concessions: Concessions) -> EncodedRequest

    /// Returns a decoder for one response.
    func makeDecoder(limits: ResponseLimits) -> Decoder

    /// Returns what an operator should know once a server has taken requests with these concessions
    /// only; one sentence each.
    func notices(of concessions: Concessions) -> [String]
}

extension WireFormat {
    public func notices(of concessions: Concessions) -> [String] { [] }
}

/// What of a response is read at most.
public struct ResponseLimits: Sendable {
    /// Bytes of the body.
    public var bodyBytes: Int
    /// Bytes of an error's body.
    public var errorBytes: Int

    /// - Parameters:
    ///   - bodyBytes: The number of bytes that a body may have.
    ///   - errorBytes: The number of bytes of an error's body that are read.
    public init(bodyBytes: Int, errorBytes: Int) {
        self.bodyBytes = bodyBytes
        self.errorBytes = errorBytes
    }
}
