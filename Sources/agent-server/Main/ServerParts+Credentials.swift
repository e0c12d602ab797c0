import Logging

extension ServerParts {
    /// Returns what opens the server, and the files from which it is read again.
    ///
    /// - Throws: ``SettingsError`` for a file that cannot be used.
    static func credentials(
        _ settings: Settings, logger: Logger
    ) async throws(SettingsError) -> (CredentialStore, CredentialFiles) {
        let store = CredentialStore(KeyTable(internalKey: settings.internalAPIKey))
        var files: [CredentialFile] = []
        if let path = settings.keysFile {
            let file = CredentialFile(of: "keys", path: path, maximumBytes: KeysFile.maximumBytes) { bytes throws(CredentialFileError) in
                let file = try KeysFile(parsing: bytes)
                store.replace(try KeyTable(internalKey: settings.internalAPIKey, file: file))
                return file.keys.count
            }
            files.append(try await read(file, Setting.keysFile))
        }
        return (store, CredentialFiles(files, logger: logger))
    }

    /// Reads a file for the first time.
    private static func read(_ file: CredentialFile, _ setting: any SettingEntry) async throws(SettingsError) -> CredentialFile {
        var file = file
        do throws(CredentialFileError) { _ = try await file.read() } catch { throw SettingsError(setting, "\(file.path): \(error)") }
        return file
    }
}
