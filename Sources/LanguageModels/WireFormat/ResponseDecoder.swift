public import NIOCore

/// A response as it arrives: decides what its bytes mean.
///
/// A decoder is called with the head once, then with the parts of the body, then with the end or
/// the loss; after an error, or after ``ResponseProgress/finished``, no more. When a method throws,
/// `events` holds the events before the error.
public protocol ResponseDecoder: Sendable {
    /// Takes the head.
    mutating func receiveHead(status: Int, contentType: String?) throws(LLMError)

    /// Takes a part of the body.
    mutating func receiveBody(_ part: ByteBuffer, into events: inout [LLMEvent]) throws(LLMError) -> ResponseProgress

    /// Takes the end of the body. Appends ``LLMEvent/finish(_:)``, or throws if the completion is
    /// cut off.
    mutating func receiveEnd(into events: inout [LLMEvent]) throws(LLMError)

    /// Takes the loss of the connection, or a silence that is too long.
    ///
    /// - Returns: Whether the completion was whole nevertheless. Then its ``LLMEvent/finish(_:)``
    ///   has been appended.
    mutating func receiveLoss(into events: inout [LLMEvent]) -> Bool
}

/// What is still to come of a response.
public enum ResponseProgress: Sendable, Equatable {
    /// Parts of the completion are missing.
    case more
    /// The model has finished. Only `usage` and the end of the stream are missing.
    case trailers
    /// ``LLMEvent/finish(_:)`` has been appended.
    case finished
}
