"""The camcorder over HTTP: an API, events, metrics, downloads and the web page. Extra `service`."""
