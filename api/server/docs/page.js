// All that the page shows comes from the address it came from itself.
SwaggerUIBundle({
  url: "openapi.json",
  domNode: document.getElementById("page"),
  validatorUrl: null,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
});
